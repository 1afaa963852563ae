import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import (
    all_monotonic_alignments,
    choose_probabilities,
    chunkwise_alignments,
    monotonic_alignments,
)
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, compiled, lengths_mask, normal, to_numpy

EXPECTED = ["parallel", "recursive"]
CHOOSE = references.sigmoid(2.0 * normal(2, 3, 11, seed=1)).astype("float32")
PREVIOUS = np.abs(normal(2, 3, 11, seed=2))
PREVIOUS /= PREVIOUS.sum(axis=-1, keepdims=True) * 1.1
UPSTREAM = normal(2, 3, 11, seed=3)
CHUNK_SCORES = normal(2, 3, 11, seed=4)
MASK = lengths_mask([11, 7], 11)[:, None, :]

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def numeric_gradients(function, arrays, upstream, delta=1e-5):
    """Central differences in float64."""
    gradients = []
    for n, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            sums = []
            for sign in (delta, -delta):
                moved = [other.astype("float64") for other in arrays]
                moved[n][index] += sign
                sums.append(np.sum(function(*moved) * upstream))
            gradient[index] = (sums[0] - sums[1]) / (2.0 * delta)
        gradients.append(gradient)
    return gradients


# === Probabilities of choosing ===


def test_a_choice_is_a_sigmoid_and_never_padding():
    scores = normal(2, 3, 11)
    choose = choose_probabilities(scores, MASK)
    assert_close(choose, np.where(MASK, references.sigmoid(scores), 0.0))
    assert np.all(to_numpy(choose)[~np.broadcast_to(MASK, choose.shape)] == 0.0)
    assert_close(choose_probabilities(scores), references.sigmoid(scores))


def test_infinite_scores_behind_the_mask_do_no_harm_to_a_choice():
    scores = np.where(MASK, normal(2, 3, 11), np.float32(np.nan))
    assert np.all(np.isfinite(to_numpy(choose_probabilities(scores, MASK))))


# === Expected alignments ===


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_step_follows_its_equation(mode):
    found = monotonic_alignments(CHOOSE, PREVIOUS, mode)
    assert_close(found, references.monotonic_alignments(CHOOSE, PREVIOUS), tolerance=1e-6)


@pytest.mark.parametrize("mode", EXPECTED)
def test_the_paper_divides_and_means_the_same(mode):
    # Equation 9, as it stands: p[s] ((1 - p[s-1]) a[s-1] / p[s-1] + previous[s]).
    choose, previous = CHOOSE.astype("float64"), PREVIOUS.astype("float64")
    expected = choose * previous
    for s in range(1, 11):
        earlier = (1.0 - choose[..., s - 1]) * expected[..., s - 1] / choose[..., s - 1]
        expected[..., s] = choose[..., s] * (earlier + previous[..., s])
    assert_close(monotonic_alignments(CHOOSE, PREVIOUS, mode), expected, tolerance=1e-6)


@pytest.mark.parametrize("mode", EXPECTED)
def test_all_steps_are_the_expectation_over_all_paths(mode):
    choose = CHOOSE[:, :3, :5]
    expected = np.stack([references.monotonic_paths(one) for one in choose])
    found = to_numpy(all_monotonic_alignments(choose, mode))
    assert_close(found, expected, tolerance=1e-6)
    assert np.all(found.sum(axis=-1) < 1.0)  # Some paths end in nothing.


def test_the_mean_of_hard_walks_is_the_expectation():
    choose, draws = CHOOSE[0, :3, :5], 4000
    uniform = np.random.default_rng(0).uniform(size=(draws, 3, 5))
    chosen = (uniform < choose).astype("float32")
    walks = to_numpy(all_monotonic_alignments(chosen, "hard"))
    expected = references.monotonic_paths(choose)
    error = np.sqrt(expected * (1.0 - expected) / draws)
    assert np.all(np.abs(walks.mean(axis=0) - expected) <= 4.0 * error + 1e-7)


@pytest.mark.parametrize("mode", EXPECTED)
def test_padding_is_passed_by(mode):
    choose = CHOOSE.copy()
    choose[..., 2:5] = 0.0
    found = to_numpy(monotonic_alignments(choose, PREVIOUS, mode))
    assert np.all(found[..., 2:5] == 0.0)
    previous = PREVIOUS.copy()  # As if who stood in the padding had stood behind it.
    previous[..., 5] += previous[..., 2:5].sum(axis=-1)
    without = references.monotonic_alignments(
        np.delete(choose, np.s_[2:5], axis=-1), np.delete(previous, np.s_[2:5], axis=-1)
    )
    assert_close(np.delete(found, np.s_[2:5], axis=-1), without, tolerance=1e-6)


@pytest.mark.parametrize("mode", EXPECTED)
@pytest.mark.parametrize("size", [1, 2, 8, 11])
def test_the_gradient_follows_the_equation(mode, size):
    arrays = [CHOOSE[..., :size], PREVIOUS[..., :size]]
    upstream = UPSTREAM[..., :size]
    _, gradients = outputs_and_gradients(
        lambda choose, previous: monotonic_alignments(choose, previous, mode), arrays, upstream
    )
    expected = numeric_gradients(references.monotonic_alignments, arrays, upstream)
    assert_close(gradients, expected, tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("scale", [0.0, 4.0, 1e4])
@pytest.mark.parametrize("mode", EXPECTED)
def test_a_thousand_places_stay_finite(mode, scale, dtype):
    # Where the paper divides by a product of 1024 factors.
    scores = ops.cast(scale * normal(2, 1, 1024) - (6.0 if scale == 0.0 else 0.0), dtype)
    previous = np.zeros((2, 1, 1024), "float32")
    previous[:, :, [0, 500]] = 0.5

    def step(scores, previous):
        return monotonic_alignments(choose_probabilities(scores), previous, mode)

    found, gradients = outputs_and_gradients(
        step, [scores, ops.cast(previous, dtype)], normal(2, 1, 1024, seed=1), compiled=True
    )
    choose = to_numpy(choose_probabilities(scores))
    expected = references.monotonic_alignments(choose, previous)
    np.testing.assert_allclose(
        found, expected, atol=1e-5, rtol=1e-5 if dtype == "float32" else 0.01
    )
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert np.any(gradients[1] != 0.0)


@pytest.mark.parametrize("mode", EXPECTED)
def test_both_ways_stay_exact_from_step_to_step(mode):
    choose = references.sigmoid(3.0 * normal(1, 3, 1024) - 4.0)
    expected = np.eye(1, 1024)
    for t in range(3):
        expected = references.monotonic_alignments(choose[:, t], expected)
    found = compiled(lambda choose: all_monotonic_alignments(choose, mode))(
        ops.convert_to_tensor(choose, dtype="float32")
    )
    assert_close(found[:, -1], expected, tolerance=1e-5)
    assert np.sum(expected) > 0.9


def test_the_result_has_the_precision_of_the_previous_alignments():
    found = monotonic_alignments(CHOOSE, ops.cast(PREVIOUS, "bfloat16"))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    wide = monotonic_alignments(CHOOSE, ops.cast(ops.cast(PREVIOUS, "bfloat16"), "float32"))
    np.testing.assert_array_equal(to_numpy(found), to_numpy(ops.cast(wide, "bfloat16")))


# === Hard alignments ===


def test_hard_choices_are_the_limit_of_certain_ones():
    certain = (CHOOSE > 0.5).astype("float32")
    certain[1, :, 6:] = 0.0
    hard = all_monotonic_alignments(certain, "hard")
    assert_close(hard, np.stack([references.monotonic_walk(one) for one in certain]), 0.0)
    for mode in EXPECTED:
        assert_close(all_monotonic_alignments(certain, mode), hard, tolerance=0.0)
    assert_close(all_monotonic_alignments(0.4 * certain + 0.3, "hard"), hard, tolerance=0.0)


def test_a_walk_that_has_left_the_memory_does_not_come_back():
    choose = np.array([[[0.1, 0.2, 0.3], [0.9, 0.9, 0.9]]], "float32")
    assert np.all(to_numpy(all_monotonic_alignments(choose, "hard")) == 0.0)


def test_a_half_is_no_choice():
    choose = np.array([[0.5, 0.51, 0.9]], "float32")
    found = monotonic_alignments(choose, np.array([[1.0, 0.0, 0.0]], "float32"), "hard")
    assert_close(found, np.array([[0.0, 1.0, 0.0]]), tolerance=0.0)


# === Chunkwise alignments ===


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("window", [1, 2, 3, 11, 13])
def test_chunks_follow_their_equation(window, mask):
    alignments = PREVIOUS if mask is None else PREVIOUS * mask
    found = chunkwise_alignments(alignments, CHUNK_SCORES, window, mask)
    expected = references.chunkwise_alignments(alignments, CHUNK_SCORES, window, mask)
    assert_close(found, expected, tolerance=1e-6)
    np.testing.assert_allclose(to_numpy(found).sum(-1), alignments.sum(-1), rtol=1e-5)
    if window == 1:
        assert_close(found, alignments, tolerance=1e-6)
    if mask is not None:
        assert np.all(to_numpy(found)[~np.broadcast_to(mask, found.shape)] == 0.0)


def test_a_chunk_does_not_underflow_beside_a_higher_one():
    scores = np.array([[-500.0, -501.0, 0.0, 500.0]], "float32")
    found = chunkwise_alignments(np.array([[0.0, 1.0, 0.0, 0.0]], "float32"), scores, 2)
    weight = references.sigmoid(1.0)
    assert_close(found, np.array([[weight, 1.0 - weight, 0.0, 0.0]]), tolerance=1e-6)


def test_the_gradient_of_chunks_follows_the_equation():
    arrays = [PREVIOUS[:, :1] * MASK, CHUNK_SCORES[:, :1]]
    _, gradients = outputs_and_gradients(
        lambda *arrays: chunkwise_alignments(*arrays, 3, MASK), arrays, UPSTREAM[:, :1]
    )
    expected = numeric_gradients(
        lambda *arrays: references.chunkwise_alignments(*arrays, 3, MASK), arrays, UPSTREAM[:, :1]
    )
    assert_close(gradients, expected, tolerance=1e-5)


def test_chunks_have_the_precision_of_the_alignments():
    found = chunkwise_alignments(ops.cast(PREVIOUS, "bfloat16"), CHUNK_SCORES, 3)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"


# === Where they run ===


@pytest.mark.parametrize("mode", [*EXPECTED, "hard"])
def test_they_work_in_a_functional_model(mode):
    inputs = [keras.Input((None, None)) for _ in range(3)]
    places = monotonic_alignments(*inputs[:2], mode)
    model = keras.Model(inputs, chunkwise_alignments(places, inputs[2], 3))
    assert model.output_shape == (None, None, None)
    arrays = [CHOOSE, np.eye(3, 11, dtype="float32")[None].repeat(2, 0), CHUNK_SCORES]
    expected = chunkwise_alignments(monotonic_alignments(*arrays[:2], mode), arrays[2], 3)
    assert_close(model(arrays), expected, tolerance=1e-6)


@on_tensorflow
@pytest.mark.parametrize("how", [True, "xla"])
@pytest.mark.parametrize("mode", EXPECTED)
def test_they_train_where_sizes_are_unknown(mode, how):
    def function(choose, previous, scores):
        return chunkwise_alignments(monotonic_alignments(choose, previous, mode), scores, 3)

    arrays = [CHOOSE, PREVIOUS, CHUNK_SCORES]
    expected = outputs_and_gradients(function, arrays, UPSTREAM)
    known = [[None, None, None]] * 3
    found = outputs_and_gradients(function, arrays, UPSTREAM, compiled=how, known=known)
    assert_close(found, expected, tolerance=1e-6)


# === Errors ===


@pytest.mark.parametrize("mode", ["soft", None])
def test_an_unknown_mode_is_refused(mode):
    message = rf"'parallel', 'recursive', 'hard'.* Received: mode={mode!r}"
    with pytest.raises(ValueError, match=message):
        monotonic_alignments(CHOOSE, PREVIOUS, mode)


@pytest.mark.parametrize("window", [0, -1, 2.0, True])
def test_no_window_is_refused(window):
    with pytest.raises(ValueError, match=f"at least 1. Received: window={window}"):
        chunkwise_alignments(PREVIOUS, CHUNK_SCORES, window)

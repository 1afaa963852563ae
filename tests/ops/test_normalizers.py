import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import hardmax, masked_log_softmax, masked_softmax
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, to_numpy

SCORES = 3.0 * normal(2, 3, 11, seed=1)
# The second example has no place at all at its first query.
MASK = np.arange(2 * 3 * 11).reshape(2, 3, 11) % 3 > 0
MASK[1, 0] = False
UPSTREAM = normal(2, 3, 11, seed=2)

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def softmax_gradient(scores, mask, upstream):
    """alignments * (upstream - sum of alignments * upstream), float64."""
    alignments = references.softmax(scores, mask)
    inner = np.sum(alignments * upstream, axis=-1, keepdims=True)
    return alignments * (upstream - inner)


def reference_hardmax(scores, mask):
    """One 1 a row at the first of the highest allowed scores."""
    result = np.zeros(scores.shape, "float32")
    for row in np.ndindex(scores.shape[:-1]):
        allowed = np.flatnonzero(mask[row])
        if len(allowed):
            result[(*row, allowed[np.argmax(scores[row][allowed])])] = 1.0
    return result


# === Softmax ===


@pytest.mark.parametrize("mask", [None, MASK, MASK[:, :1], MASK[0]])
def test_softmax_follows_its_equation(mask):
    alignments = masked_softmax(SCORES, mask)
    assert_close(alignments, references.softmax(SCORES, mask).astype("float32"), tolerance=1e-6)


@pytest.mark.parametrize("mask", [None, MASK, MASK[:, :1], MASK[0]])
def test_log_softmax_is_the_logarithm_of_the_softmax(mask):
    found = to_numpy(masked_log_softmax(SCORES, mask))
    allowed = np.broadcast_to(True if mask is None else mask, SCORES.shape)
    expected = np.log(references.softmax(SCORES, mask)[allowed])
    np.testing.assert_allclose(found[allowed], expected, rtol=1e-5, atol=1e-5)
    assert np.all(found[~allowed] == np.float32(-1e30))


def test_log_softmax_of_large_scores_is_finite():
    scores = np.array([[0.0, -1e4, 3e4]], "float32")
    found = to_numpy(masked_log_softmax(scores, np.array([[True, True, False]])))
    np.testing.assert_allclose(found[0, :2], [0.0, -1e4])
    half = masked_log_softmax(ops.cast(scores, "bfloat16"))
    assert keras.backend.standardize_dtype(half.dtype) == "float32"


def test_the_entropy_of_a_log_softmax_has_a_gradient_at_padding():
    def entropy(scores):
        log_alignments = masked_log_softmax(scores, MASK)
        return -ops.sum(ops.exp(log_alignments) * log_alignments, axis=-1)

    found, (gradient,) = outputs_and_gradients(entropy, [SCORES], np.float32(1.0))
    alignments = references.softmax(SCORES, MASK)
    logarithms = np.log(np.where(alignments > 0.0, alignments, 1.0))
    expected = -np.sum(alignments * logarithms, axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    expected = -alignments * (logarithms + expected[..., None])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_rows_sum_to_one():
    sums = to_numpy(masked_softmax(SCORES, MASK)).sum(axis=-1)
    expected = np.ones((2, 3))
    expected[1, 0] = 0.0
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_padding_gets_no_weight_at_all():
    alignments = to_numpy(masked_softmax(SCORES, MASK))
    assert np.all(alignments[~MASK] == 0.0)
    assert np.all(alignments[MASK] > 0.0)


def test_a_row_with_nothing_to_attend_to_is_zeros():
    assert np.all(to_numpy(masked_softmax(SCORES, MASK))[1, 0] == 0.0)
    assert np.all(to_numpy(masked_softmax(SCORES, np.zeros_like(MASK))) == 0.0)


def test_more_padding_changes_nothing():
    mask = lengths_mask([11, 5], 11)[:, None, :]
    more_scores = np.concatenate([SCORES, 1e4 * normal(2, 3, 5)], axis=-1)
    more_mask = np.concatenate([mask, np.zeros((2, 1, 5), bool)], axis=-1)
    alignments = to_numpy(masked_softmax(more_scores, more_mask))
    assert_close(alignments[..., :11], to_numpy(masked_softmax(SCORES, mask)), tolerance=1e-7)


def test_permuting_the_places_permutes_the_alignments():
    order = np.random.default_rng(0).permutation(11)
    permuted = masked_softmax(SCORES[..., order], MASK[..., order])
    assert_close(permuted, to_numpy(masked_softmax(SCORES, MASK))[..., order], tolerance=1e-6)


def test_padding_does_not_reach_the_others_however_far_apart_the_scores_are():
    # Masked after a softmax these would be (0, 0 | 0) or (1/3, 1/3 | 0).
    expected = [[1.0 / (1.0 + np.exp(-1.0)), 1.0 / (1.0 + np.exp(1.0)), 0.0]]
    mask = np.array([[True, True, False]])
    for scores in ([[-200.0, -201.0, 0.0]], [[-20.0, -21.0, 5.0]], [[1e4 + 1.0, 1e4, 2e4]]):
        assert_close(
            masked_softmax(scores, mask), np.array(expected, dtype="float32"), tolerance=1e-6
        )


def test_large_scores_stay_finite():
    for scale in (1e4, 1e30):
        scores, gradients = outputs_and_gradients(
            lambda scores: masked_softmax(scores, MASK), [scale * SCORES], UPSTREAM
        )
        assert np.all(np.isfinite(scores)) and np.all(np.isfinite(gradients[0]))
        assert_close(scores, reference_hardmax(SCORES, MASK))


def test_infinite_scores_behind_the_mask_do_no_harm():
    for value in (np.inf, -np.inf, np.nan):
        scores = np.where(MASK, SCORES, np.float32(value))
        assert_close(
            masked_softmax(scores, MASK), references.softmax(SCORES, MASK).astype("float32")
        )


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_follows_its_equation_with_an_empty_row_too(mask, compiled):
    _, (gradient,) = outputs_and_gradients(
        lambda scores: masked_softmax(scores, mask), [SCORES], UPSTREAM, compiled=compiled
    )
    expected = softmax_gradient(SCORES, mask, UPSTREAM).astype("float32")
    assert_close(gradient, expected, tolerance=2e-6)
    if mask is not None:
        assert np.all(gradient[~mask] == 0.0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_normalized_in_float32(dtype):
    scores = ops.cast(SCORES, dtype)
    alignments = masked_softmax(scores, MASK)
    assert keras.backend.standardize_dtype(alignments.dtype) == dtype
    # Rounded once, at the end: the very numbers of float32, rounded.
    wide = masked_softmax(ops.cast(scores, "float32"), MASK)
    np.testing.assert_array_equal(to_numpy(alignments), to_numpy(ops.cast(wide, dtype)))
    assert np.all(to_numpy(alignments)[~MASK] == 0.0)
    # Many equal places: a sum in half precision would be off long before 4001.
    many = to_numpy(masked_softmax(ops.zeros((1, 4001), dtype)))
    np.testing.assert_allclose(many, 1.0 / 4001, rtol=2.0**-8)
    low = masked_softmax(ops.full((1, 3), -6e4, dtype), np.array([[True, True, False]]))
    np.testing.assert_array_equal(to_numpy(low), [[0.5, 0.5, 0.0]])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gradients_are_finite_with_an_empty_row_too(dtype):
    _, (gradient,) = outputs_and_gradients(
        lambda scores: masked_softmax(scores, MASK), [ops.cast(SCORES, dtype)], UPSTREAM
    )
    rounded = to_numpy(ops.cast(SCORES, dtype))
    assert_close(
        gradient, softmax_gradient(rounded, MASK, UPSTREAM).astype("float32"), tolerance=2.0**-6
    )


def test_softmax_works_in_a_functional_model():
    scores = keras.Input((None, None))
    mask = keras.Input((None, None), dtype="bool")
    model = keras.Model([scores, mask], masked_softmax(scores, mask))
    assert model.output_shape == (None, None, None)
    assert_close(model([SCORES, MASK]), masked_softmax(SCORES, MASK))


# === Hardmax ===


@pytest.mark.parametrize("mask", [None, MASK])
def test_hardmax_puts_all_weight_on_the_highest_score(mask):
    allowed = np.ones_like(MASK) if mask is None else mask
    assert_close(hardmax(SCORES, mask), reference_hardmax(SCORES, allowed), tolerance=0.0)


def test_the_first_of_equal_scores_wins():
    scores = np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0]], "float32")
    assert_close(hardmax(scores), np.array([[0, 1, 0, 0], [1, 0, 0, 0]], "float32"), tolerance=0.0)
    mask = np.array([[True, False, True, True], [False, False, True, True]])
    assert_close(
        hardmax(scores, mask), np.array([[0, 0, 1, 0], [0, 0, 1, 0]], "float32"), tolerance=0.0
    )


def test_hardmax_of_a_row_with_nothing_to_attend_to_is_zeros():
    assert np.all(to_numpy(hardmax(SCORES, np.zeros_like(MASK))) == 0.0)


@pytest.mark.parametrize("scale", [-1e29, 1e4, 1e30])
def test_hardmax_of_large_scores_keeps_to_the_mask(scale):
    scores = (scale * SCORES).astype("float32")
    assert_close(hardmax(scores, MASK), reference_hardmax(scores, MASK), tolerance=0.0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_hardmax_keeps_the_dtype_of_the_scores(dtype):
    scores = ops.cast(SCORES, dtype)
    alignments = hardmax(scores, MASK)
    assert keras.backend.standardize_dtype(alignments.dtype) == dtype
    assert_close(alignments, reference_hardmax(to_numpy(scores), MASK), tolerance=0.0)


# === Both ===


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("normalize", [masked_softmax, hardmax])
def test_sizes_may_be_unknown_while_tracing(normalize, jit_compile):
    import tensorflow as tf

    signature = [tf.TensorSpec([None, None, None], dtype) for dtype in (tf.float32, tf.bool)]
    traced = tf.function(normalize, input_signature=signature, jit_compile=jit_compile)
    assert_close(traced(SCORES, MASK), normalize(SCORES, MASK), tolerance=1e-6)
    more = np.concatenate([SCORES, SCORES], axis=-1), np.concatenate([MASK, MASK], axis=-1)
    assert_close(traced(*more), normalize(*more), tolerance=1e-6)

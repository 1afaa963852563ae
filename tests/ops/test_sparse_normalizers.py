"""Sparsemax and 1.5-entmax, held to two references that know nothing of a sort."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import entmax15, get_normalizer, hardmax, masked_softmax, sparsemax
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, to_numpy

SCORES = normal(2, 3, 11, seed=1)
# The second example has no place at all at its first query.
MASK = np.arange(2 * 3 * 11).reshape(2, 3, 11) % 3 > 0
MASK[1, 0] = False
UPSTREAM = normal(2, 3, 11, seed=2)
ALPHAS = {sparsemax: 2.0, entmax15: 1.5}

both = pytest.mark.parametrize("normalize", ALPHAS, ids=["sparsemax", "entmax15"])
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def reference(normalize, scores, mask=None):
    return references.entmax(scores, mask, ALPHAS[normalize]).astype("float32")


def by_enumeration(normalize, row):
    """Try every support: the right one gives weights that the equation confirms."""
    places = range(len(row))
    for size in range(1, len(row) + 1):
        for support in itertools.combinations(places, size):
            inside = np.isin(places, support)
            if normalize is sparsemax:
                rest = row - (row[inside].sum() - 1.0) / size
            else:
                halves = row / 2.0
                spread = 1.0 - np.sum((halves[inside] - halves[inside].mean()) ** 2)
                if spread < 0.0:
                    continue
                rest = halves - (halves[inside].mean() - np.sqrt(spread / size))
            if np.all(rest[inside] > 0.0) and np.all(rest[~inside] <= 0.0):
                return np.where(inside, rest if normalize is sparsemax else rest**2, 0.0)
    raise AssertionError("No support fits.")


def jacobian_times(normalize, alignments, upstream):
    """With r = alignments^(2 - alpha) on the support: r (upstream - sum of r upstream / sum of r)

    That is the mean over the support for sparsemax, and r = sqrt(alignments) for 1.5-entmax.
    """
    alignments = alignments.astype("float64")
    weights = np.where(alignments > 0.0, alignments ** (2.0 - ALPHAS[normalize]), 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    mean = (weights * upstream).sum(axis=-1, keepdims=True) / np.where(total > 0.0, total, 1.0)
    return weights * (upstream - mean)


# === Values ===


@both
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("mask", [None, MASK, MASK[:, :1], MASK[0]])
def test_alignments_follow_their_equation(normalize, mask, scale):
    scores = (scale * SCORES).astype("float32")
    assert_close(normalize(scores, mask), reference(normalize, scores, mask), tolerance=2e-6)


@both
def test_alignments_are_those_of_the_one_support_that_fits(normalize):
    scores = normal(5, 7, seed=3)
    expected = np.stack([by_enumeration(normalize, row) for row in scores.astype("float64")])
    assert_close(normalize(scores), expected.astype("float32"), tolerance=2e-6)


def test_small_cases_are_as_on_paper():
    assert_close(sparsemax([[1.0, 0.5, -1.0]]), np.array([[0.75, 0.25, 0.0]], "float32"))
    assert_close(entmax15([[1.0, 1.0, -1.0]]), np.array([[0.5, 0.5, 0.0]], "float32"))
    # With x = -threshold: (x + 0.6)^2 + x^2 = 1.
    x = (-0.6 + np.sqrt(2.0 - 0.36)) / 2.0
    expected = np.array([[(x + 0.6) ** 2, x**2]], "float32")
    assert_close(entmax15([[1.2, 0.0]]), expected, tolerance=1e-6)


@both
def test_zeros_are_zeros_and_rows_sum_to_one(normalize):
    alignments = to_numpy(normalize(3.0 * SCORES, MASK))
    expected = np.ones((2, 3))
    expected[1, 0] = 0.0
    np.testing.assert_allclose(alignments.sum(axis=-1), expected, atol=1e-6)
    assert np.all(alignments >= 0.0)
    assert np.all(alignments[~MASK] == 0.0)
    zeros = (alignments == 0.0) & MASK
    np.testing.assert_array_equal(zeros, MASK & (reference(normalize, 3.0 * SCORES, MASK) == 0.0))
    assert zeros.sum() > 10


@both
def test_what_lies_too_far_below_the_highest_score_gets_nothing(normalize):
    distance = 1.0 if normalize is sparsemax else 2.0
    scores = np.array([[0.0, -distance, -distance - 0.1, -50.0, -1e30, -np.inf]], "float32")
    np.testing.assert_array_equal(to_numpy(normalize(scores)), [[1.0, 0, 0, 0, 0, 0]])
    nearly = to_numpy(normalize(np.array([[0.0, -0.99 * distance]], "float32")))
    assert nearly[0, 1] > 0.0


@both
def test_ties_share_alike(normalize):
    scores = np.array([[2.0, 2.0, 2.0, -9.0], [0.3, 0.3, 0.3, 0.3], [1.0, 1.0, 0.9, 0.9]])
    scores = scores.astype("float32")
    alignments = to_numpy(normalize(scores))
    assert_close(alignments[0], np.array([1 / 3, 1 / 3, 1 / 3, 0.0], "float32"), tolerance=1e-6)
    assert_close(alignments[1], np.full(4, 0.25, "float32"), tolerance=1e-6)
    assert alignments[2, 0] == alignments[2, 1] > alignments[2, 2] == alignments[2, 3]
    assert_close(alignments, reference(normalize, scores), tolerance=1e-6)


@both
def test_a_row_with_nothing_to_attend_to_is_zeros(normalize):
    assert np.all(to_numpy(normalize(SCORES, MASK))[1, 0] == 0.0)
    assert np.all(to_numpy(normalize(SCORES, np.zeros_like(MASK))) == 0.0)


@both
def test_more_padding_changes_nothing(normalize):
    mask = lengths_mask([11, 5], 11)[:, None, :]
    more_scores = np.concatenate([SCORES, 1e4 * normal(2, 3, 5)], axis=-1)
    more_mask = np.concatenate([mask, np.zeros((2, 1, 5), bool)], axis=-1)
    alignments = to_numpy(normalize(more_scores, more_mask))
    assert_close(alignments[..., :11], to_numpy(normalize(SCORES, mask)), tolerance=1e-7)


@both
def test_permuting_the_places_permutes_the_alignments(normalize):
    order = np.random.default_rng(0).permutation(11)
    permuted = normalize(SCORES[..., order], MASK[..., order])
    assert_close(permuted, to_numpy(normalize(SCORES, MASK))[..., order], tolerance=1e-6)


@both
def test_a_shift_of_all_scores_changes_nothing(normalize):
    scores = np.round(SCORES * 64) / 64  # So that the sum below is exact.
    assert_close(normalize(scores + 1000.0, MASK), normalize(scores, MASK), tolerance=1e-7)


@both
@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_large_scores_stay_finite(normalize, scale):
    alignments, (gradient,) = outputs_and_gradients(
        lambda scores: normalize(scores, MASK), [scale * SCORES], UPSTREAM
    )
    assert_close(alignments, hardmax(SCORES, MASK), tolerance=0.0)
    assert np.all(np.isfinite(gradient))


@both
def test_infinite_scores_behind_the_mask_do_no_harm(normalize):
    expected = reference(normalize, SCORES, MASK)
    for value in (np.inf, -np.inf, np.nan):
        scores = np.where(MASK, SCORES, np.float32(value))
        found, (gradient,) = outputs_and_gradients(
            lambda scores: normalize(scores, MASK), [scores], UPSTREAM
        )
        assert_close(found, expected)
        assert np.all(np.isfinite(gradient))


@both
@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0])
def test_long_rows_sum_to_one(normalize, spread):
    scores = (spread * normal(3, 4001, seed=4)).astype("float32")
    alignments = to_numpy(normalize(scores))
    np.testing.assert_allclose(alignments.sum(axis=-1, dtype="float64"), 1.0, atol=1e-5)
    expected = reference(normalize, scores)
    np.testing.assert_allclose(alignments, expected, rtol=2e-4, atol=2e-6)


@both
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_normalized_in_float32(normalize, dtype):
    scores = ops.cast(SCORES, dtype)
    found, (gradient,) = outputs_and_gradients(
        lambda scores: normalize(scores, MASK), [scores], UPSTREAM
    )
    assert keras.backend.standardize_dtype(normalize(scores, MASK).dtype) == dtype
    wide = normalize(ops.cast(scores, "float32"), MASK)
    np.testing.assert_array_equal(found, to_numpy(ops.cast(wide, dtype)))
    assert np.all(found[~MASK] == 0.0)
    rounded = reference(normalize, to_numpy(scores), MASK)
    expected = jacobian_times(normalize, rounded, UPSTREAM).astype("float32")
    assert_close(gradient, expected, tolerance=2.0**-6)


# === Gradients ===


@both
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("compiled", [False, True, "xla"])
def test_the_gradient_follows_its_equation_with_an_empty_row_too(normalize, mask, scale, compiled):
    scores = (scale * SCORES).astype("float32")
    _, (gradient,) = outputs_and_gradients(
        lambda scores: normalize(scores, mask), [scores], UPSTREAM, compiled=compiled
    )
    alignments = references.entmax(scores, mask, ALPHAS[normalize])
    expected = jacobian_times(normalize, alignments, UPSTREAM).astype("float32")
    assert_close(gradient, expected, tolerance=1e-5)
    assert np.all(gradient[alignments == 0.0] == 0.0)


@both
def test_the_gradient_is_that_of_finite_differences(normalize):
    scores, upstream = SCORES[0, 0].astype("float64"), UPSTREAM[0, 0]
    steps = 1e-5 * np.eye(11)
    values = [
        references.entmax(scores + sign * steps, alpha=ALPHAS[normalize]) @ upstream
        for sign in (1.0, -1.0)
    ]
    expected = (values[0] - values[1]) / 2e-5
    _, (gradient,) = outputs_and_gradients(normalize, [SCORES[0, 0]], upstream)
    assert_close(gradient, expected.astype("float32"), tolerance=1e-4)


@both
def test_the_gradient_does_not_see_a_shift(normalize):
    _, (gradient,) = outputs_and_gradients(
        lambda scores: normalize(scores, MASK), [SCORES], UPSTREAM
    )
    np.testing.assert_allclose(gradient.sum(axis=-1), 0.0, atol=1e-6)


# === Tracing, names ===


@both
def test_it_works_in_a_functional_model(normalize):
    scores = keras.Input((None, None))
    mask = keras.Input((None, None), dtype="bool")
    model = keras.Model([scores, mask], normalize(scores, mask))
    assert model.output_shape == (None, None, None)
    assert_close(model([SCORES, MASK]), normalize(SCORES, MASK))


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@both
def test_sizes_may_be_unknown_while_tracing(normalize, jit_compile):
    import tensorflow as tf

    signature = [tf.TensorSpec([None, None, None], dtype) for dtype in (tf.float32, tf.bool)]
    traced = tf.function(normalize, input_signature=signature, jit_compile=jit_compile)
    assert_close(traced(SCORES, MASK), normalize(SCORES, MASK), tolerance=1e-6)
    more = np.concatenate([SCORES, SCORES], axis=-1), np.concatenate([MASK, MASK], axis=-1)
    assert_close(traced(*more), normalize(*more), tolerance=1e-6)


@pytest.mark.parametrize(
    ("name", "normalize"),
    [("softmax", masked_softmax), ("sparsemax", sparsemax), ("entmax15", entmax15)],
)
def test_a_name_stands_for_its_function(name, normalize):
    assert get_normalizer(name) is normalize


@pytest.mark.parametrize("normalizer", ["hardest", None, sparsemax, ["softmax"]])
def test_an_unknown_name_is_refused(normalizer):
    with pytest.raises(ValueError) as error:
        get_normalizer(normalizer)
    assert str(error.value) == (
        "`normalizer` must be one of ['entmax15', 'softmax', 'sparsemax']. "
        f"Received: normalizer={normalizer!r}"
    )

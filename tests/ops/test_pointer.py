import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import copy_places, pointer_log_probs
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, to_numpy

B, T, S, V = 2, 3, 11, 7
NEVER = np.log(1e-37)
LENGTHS = [11, 5]
MASK = lengths_mask(LENGTHS, S)
LOGITS, GATE = normal(B, T, V, seed=1), normal(B, T, seed=2)
ALIGNMENTS = references.softmax(normal(B, T, S, seed=3), MASK[:, None]).astype("float32")
# Some twice, some known, some known only here; what stands in the padding is as good as any.
IDS = np.array(
    [
        [4, V + 1, 5, V + 1, V + 4, 4, V + 6, V + 4, 6, V + 9, 3],
        [V, 4, V, V + 3, 3, 0, V + 6, V + 10, 4, 0, 0],
    ],
    dtype="int32",
)
TENSORS = [LOGITS, GATE, ALIGNMENTS]
UPSTREAM = normal(B, T, V + S, seed=4)


def mix(logits, gate, alignments, ids=IDS):
    return pointer_log_probs(logits, gate, alignments, copy_places(ids, V))


def expected_of(*tensors, ids=IDS):
    return np.maximum(references.pointer_log_probs(*tensors, ids), NEVER)


def test_it_follows_the_equation():
    found = to_numpy(mix(*map(ops.convert_to_tensor, TENSORS)))
    np.testing.assert_allclose(found, expected_of(*TENSORS), rtol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1.0, rtol=1e-5)


def test_places_are_marked_by_what_they_say():
    places = to_numpy(copy_places(IDS, V))
    np.testing.assert_array_equal(places, np.eye(V + S)[IDS])


def test_what_can_neither_be_said_nor_copied_is_improbable_and_finite():
    found = to_numpy(mix(*TENSORS))
    possible = [set(range(V)) | set(row[:n].tolist()) for row, n in zip(IDS, LENGTHS, strict=True)]
    for row, ids in zip(found, possible, strict=True):
        never = [id not in ids for id in range(V + S)]
        np.testing.assert_allclose(row[:, never], NEVER, rtol=1e-6)
        assert (row[:, ~np.array(never)] > NEVER + 1).all()


def test_padding_says_nothing():
    ids = np.where(MASK, IDS, V + S - 1)
    longer = np.pad(ids, [(0, 0), (0, 2)], constant_values=4)
    alignments = np.pad(ALIGNMENTS, [(0, 0), (0, 0), (0, 2)])
    expected = to_numpy(mix(*TENSORS))
    found = to_numpy(pointer_log_probs(LOGITS, GATE, alignments, copy_places(longer, V)))
    np.testing.assert_allclose(found[1, :, : V + 5], expected[1, :, : V + 5], rtol=1e-5)
    np.testing.assert_allclose(found[1, :, V + 5 :], NEVER, rtol=1e-6)


def small_step(tensors, direction, size=1e-5):
    """The derivative of sum(outputs * upstream) along a direction, by differences, in float64."""
    upstream = np.where(references.pointer_log_probs(*TENSORS, IDS) > -np.inf, UPSTREAM, 0.0)

    def total(sign):
        moved = [
            np.asarray(t, "float64") + sign * size * d
            for t, d in zip(tensors, direction, strict=True)
        ]
        moved[2] = moved[2] / moved[2].sum(axis=-1, keepdims=True)  # What is scaled up to 1.
        found = references.pointer_log_probs(*moved, IDS)
        return (np.where(upstream != 0.0, found, 0.0) * upstream).sum()

    return (total(1) - total(-1)) / (2 * size)


@pytest.mark.parametrize("compiled", [False, "xla"])
def test_gradients_are_the_slopes(compiled):
    known = [(None, None, V), (None, None), (None, None, None)] if compiled else None

    def function(logits, gate, alignments):
        return mix(logits, gate, alignments)

    _, gradients = outputs_and_gradients(
        function, TENSORS, UPSTREAM, compiled=compiled, known=known
    )
    # A step of alignments where they are zero would leave the place where they are probabilities.
    directions = [normal(*one.shape, seed=n) for n, one in enumerate(TENSORS)]
    directions[2] = directions[2] * ALIGNMENTS
    for place in range(3):
        direction = [d if n == place else 0.0 * d for n, d in enumerate(directions)]
        slope = (gradients[place] * directions[place]).sum()
        np.testing.assert_allclose(slope, small_step(TENSORS, direction), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("scale", "gate"), [(1.0, 100.0), (1.0, -100.0), (1000.0, 0.0), (0.0, 0.0)]
)
def test_extremes_stay_finite_and_can_be_learned_from(scale, gate):
    tensors = [scale * LOGITS, np.full_like(GATE, gate), ALIGNMENTS]
    found, gradients = outputs_and_gradients(mix, tensors, UPSTREAM)
    assert np.isfinite(found).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1.0, rtol=1e-5)
    if gate:  # What is all but impossible still says which way to go.
        assert (np.abs(gradients[1]) > 0.1).all()


def test_a_probability_of_zero_takes_no_gradient_and_gives_none():
    alignments = np.zeros_like(ALIGNMENTS)
    alignments[:, :, 1] = 1.0
    found, gradients = outputs_and_gradients(mix, [LOGITS, GATE, alignments], UPSTREAM)
    assert np.isfinite(found).all() and all(np.isfinite(one).all() for one in gradients)
    untouched = [id for id in range(V, V + S) if id not in IDS[0, 1:2]]
    np.testing.assert_allclose(found[0][:, untouched], NEVER, rtol=1e-6)


def test_where_nothing_is_looked_at_a_token_of_the_vocabulary_is_said():
    alignments = ALIGNMENTS.copy()
    alignments[0, 1] = 0.0
    found, gradients = outputs_and_gradients(mix, [LOGITS, GATE, alignments], UPSTREAM)
    expected = np.log(references.softmax(LOGITS[0, 1]))
    np.testing.assert_allclose(found[0, 1, :V], expected, rtol=1e-5)
    assert gradients[1][0, 1] == 0.0 and all(np.isfinite(one).all() for one in gradients)


def test_alignments_that_sum_to_less_than_one_are_scaled_up():
    assert_close(mix(LOGITS, GATE, 0.25 * ALIGNMENTS), mix(LOGITS, GATE, ALIGNMENTS))


def test_gradients_of_half_precision_are_finite():
    def function(alignments):
        return mix(LOGITS, GATE, ops.cast(alignments, "float16"))

    alignments = np.full_like(ALIGNMENTS, 1e-6)
    alignments[..., 0] = 1.0
    found, (gradient,) = outputs_and_gradients(function, [alignments], 1.0)
    assert np.isfinite(found).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_mixed_in_float32(dtype):
    found = mix(*(ops.cast(one, dtype) for one in TENSORS))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert_close(found, expected_of(*TENSORS).astype("float32"), tolerance=0.03)
    assert np.isfinite(to_numpy(ops.cast(found, dtype))).all()

import numpy as np
import pytest
from keras import ops

from attnzoo.ops import (
    free_moves,
    jump_moves,
    masked_softmax,
    move_by_jumps,
    move_freely,
    observe,
)
from tests import references
from tests.ops.differentiation import outputs_and_gradients, slopes
from tests.tools import assert_close, lengths_mask, normal, to_numpy

pytestmark = pytest.mark.usefixtures("without_compilation")

B, T, S, J = 2, 3, 11, 5
LENGTHS = [11, 7]
MASK = lengths_mask(LENGTHS, S)[:, None]  # [B, 1, S]
ALIGNMENTS = references.softmax(normal(B, T, S, seed=1), MASK).astype("float32")
JUMPS = normal(B, T, S, J, seed=2)
ORDERS = [0, 1]


def moved(order, places, alignments, jumps, mask=None):
    if order == 0:
        return move_freely(places, free_moves(alignments, mask))
    return move_by_jumps(places, jump_moves(alignments, jumps, mask))


def every_move(order, alignments=ALIGNMENTS, mask=MASK):
    """moves[s', b, t, s], by starting at each place in turn."""
    starts = np.eye(S, dtype="float32")[:, None, None] + np.zeros((S, B, T, S), "float32")
    return np.stack([to_numpy(moved(order, one, alignments, JUMPS, mask)) for one in starts])


@pytest.mark.parametrize("order", ORDERS)
def test_moves_follow_their_definition(order):
    found = every_move(order)
    for b, length in enumerate(LENGTHS):
        expected = references.monotone_moves(
            ALIGNMENTS[b, :, :length], JUMPS[b, :, :length] if order else None
        )  # [T, S', S]
        assert_close(found[:length, b, :, :length], expected.transpose(1, 0, 2).astype("float32"))
        assert np.all(found[:length, b, :, length:] == 0.0)


@pytest.mark.parametrize("order", ORDERS)
def test_no_move_goes_back_and_none_is_lost(order):
    found = every_move(order)
    for start in range(S):
        assert np.all(found[start, ..., :start] == 0.0)
        if order == 1:
            assert np.all(found[start, ..., start + J :] == 0.0)
    np.testing.assert_allclose(found[:7].sum(axis=-1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_where_nothing_ahead_has_weight_it_stays(order):
    alignments = np.zeros((B, T, S), "float32")
    alignments[..., 2] = 1.0
    found = every_move(order, alignments)
    expected = np.eye(S)
    expected[:3] = expected[2]
    for b, length in enumerate(LENGTHS):
        assert_close(
            found[:length, b, 1, :length], expected[:length, :length].astype("float32"), 0.0
        )


@pytest.mark.parametrize("order", ORDERS)
def test_jumps_as_long_as_the_memory_are_moves_to_anywhere(order):
    """With a free choice of jumps both orders are one."""
    places = references.softmax(normal(B, T, S, seed=3), MASK).astype("float32")
    jumps = np.zeros((B, 1, 1, S + order), "float32")  # Longer than it is no matter.
    expected = moved(0, places, ALIGNMENTS, None, MASK)
    assert_close(moved(1, places, ALIGNMENTS, jumps, MASK), expected)


def test_no_digits_are_lost_behind_a_place_that_is_nearly_sure():
    small = np.float32(1e-12)
    found = move_freely(
        np.array([[1.0, 0.0, 0.0]], "float32"),
        free_moves(np.array([[1.0, small, 3 * small]], "float32")),
    )
    np.testing.assert_allclose(to_numpy(found)[0], [1.0, small, 3 * small], rtol=1e-5)


def test_an_observation_is_bayes_rule():
    log_probs = normal(B, T, S, seed=3)
    found = to_numpy(observe(ALIGNMENTS, log_probs))
    joint = ALIGNMENTS * np.exp(log_probs.astype("float64"))
    assert_close(found, (joint / joint.sum(axis=-1, keepdims=True)).astype("float32"))
    assert np.all(found[np.broadcast_to(~MASK, found.shape)] == 0.0)
    nothing = to_numpy(observe(0.0 * ALIGNMENTS, log_probs))
    assert np.all(nothing == 0.0)


# One source of five real places and two of padding, and a target of four tokens out of three.
STEPS, PLACES, REAL, WIDTH = 4, 7, 5, 3
TARGETS = np.array([2, 0, 1, 1])
REAL_MASK = np.arange(PLACES) < REAL


def small_problem(order):
    """Scores of places, logits, and with order 1 the jumps, in float64."""
    shapes = [(STEPS, PLACES), (STEPS, PLACES, 3), (STEPS, PLACES, WIDTH)][: 2 + order]
    return [normal(*shape, seed=n).astype("float64") for n, shape in enumerate(shapes)]


def enumerated(scores, logits, jumps=None):
    jumps = None if jumps is None else jumps[:, :REAL]
    moves = references.monotone_moves(references.softmax(scores[:, :REAL]), jumps)
    log_probs = np.log(references.softmax(logits))[np.arange(STEPS), :REAL, TARGETS]
    return references.enumerated_monotone_loss(moves, log_probs)


@pytest.mark.parametrize("order", ORDERS)
def test_step_by_step_it_is_the_sum_over_all_paths_one_by_one(order):
    def loss(scores, logits, jumps=None):
        alignments = masked_softmax(scores, REAL_MASK)
        log_probs = ops.log_softmax(logits, axis=-1)
        places = ops.cast(ops.arange(PLACES) == 0, "float32")
        total = 0.0
        for t in range(STEPS):
            jumps_t = None if jumps is None else jumps[t]
            places = moved(order, places, alignments[t], jumps_t, REAL_MASK)
            said = log_probs[t, :, int(TARGETS[t])]
            total = total - ops.log(ops.sum(places * ops.exp(said)))
            places = observe(places, said)
        return total

    problem = small_problem(order)
    found, gradients = outputs_and_gradients(
        loss, [tensor.astype("float32") for tensor in problem], 1.0, compiled=True
    )
    np.testing.assert_allclose(found, enumerated(*problem), rtol=1e-5)
    for gradient, expected in zip(gradients, slopes(enumerated, problem), strict=True):
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(gradient, expected, atol=5e-6, rtol=1e-4)


def test_the_reference_is_the_enumeration_too():
    scores, logits, jumps = small_problem(1)
    moves = references.monotone_moves(references.softmax(scores), jumps)
    log_probs = np.log(references.softmax(logits))[np.arange(STEPS), :, TARGETS]
    prior = references.forward_places(moves, log_probs)
    total = -np.log((prior * np.exp(log_probs)).sum(axis=-1)).sum()
    np.testing.assert_allclose(total, references.enumerated_monotone_loss(moves, log_probs))


@pytest.mark.parametrize("order", ORDERS)
def test_vanishing_weights_leave_all_finite(order):
    alignments = np.array([[1.0, 1e-29, 1e-31, 1e-38, 1e-45, 0.0, 1e-29]] * 2, "float32")
    places = np.array([[1.0, 1e-29, 0.0, 1e-38, 1e-31, 0.0, 0.0], [0.0] * 6 + [1.0]], "float32")
    log_probs = np.array([[-1e4, 0.0, -3e4, 0.0, 0.0, 0.0, 1e4]] * 2, "float32")
    jumps = [1e3 * normal(2, 7, 3)][:order]

    def twice(alignments, places, log_probs, jumps=None):
        places = observe(moved(order, places, alignments, jumps), log_probs)
        return observe(moved(order, places, alignments, jumps), log_probs)

    tensors = [alignments, places, log_probs, *jumps]
    found, gradients = outputs_and_gradients(twice, tensors, normal(2, 7))
    for array in (found, *gradients):
        assert np.all(np.isfinite(array))
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("order", ORDERS)
def test_half_precision_is_computed_in_float32_with_finite_gradients(order, dtype):
    def moves(alignments, *jumps):
        alignments = ops.cast(alignments, dtype)
        return jump_moves(alignments, *jumps) if jumps else free_moves(alignments)

    tensors = [np.array([[1.0, 1e-4, 1e-7, 1e-7, 0.0, 1e-5, 1e-4]], "float32"), normal(1, 7, 3)]
    found, gradients = outputs_and_gradients(moves, tensors[: 1 + order], 1.0)
    assert found.dtype == "float32"
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))

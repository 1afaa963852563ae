import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import coverage_loss
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import lengths_mask, normal

ALIGNMENTS = references.softmax(2.0 * normal(2, 5, 11, seed=1)).astype("float32")
STEPS = lengths_mask([5, 3], 5)


def loss_of(*arguments):
    return float(ops.convert_to_numpy(coverage_loss(*arguments)))


@pytest.mark.parametrize("mask", [None, STEPS, np.zeros((2, 5), bool)], ids=["none", "some", "all"])
def test_the_loss_follows_its_equation(mask):
    expected = references.coverage_loss(ALIGNMENTS, mask)
    assert loss_of(ALIGNMENTS, mask) == pytest.approx(expected, rel=1e-5)


def test_what_is_looked_at_once_costs_nothing():
    assert loss_of(np.eye(5, 11, dtype="float32")[None]) == 0.0


def test_looking_at_one_place_costs_one_for_each_step_but_the_first():
    stuck = np.zeros((1, 5, 11), "float32")
    stuck[:, :, 3] = 1.0
    assert loss_of(stuck) == pytest.approx(4 / 5)


def test_steps_that_are_padding_change_nothing():
    longer = np.concatenate([ALIGNMENTS, ALIGNMENTS[:, :2]], axis=1)
    mask = np.pad(STEPS, [(0, 0), (0, 2)])
    assert loss_of(longer, mask) == pytest.approx(loss_of(ALIGNMENTS, STEPS), rel=1e-6)


@pytest.mark.parametrize("compiled", [False, "xla"])
def test_its_gradient_is_that_of_the_equation(compiled):
    _, (gradient,) = outputs_and_gradients(
        lambda alignments: coverage_loss(alignments, STEPS),
        [ALIGNMENTS],
        np.float32(1.0),
        compiled=compiled,
        known=[(None, None, None)],
    )
    expected = np.zeros(ALIGNMENTS.shape)
    for place in np.ndindex(*ALIGNMENTS.shape):
        ends = []
        for change in (1e-6, -1e-6):
            moved = ALIGNMENTS.astype("float64")
            moved[place] += change
            ends.append(references.coverage_loss(moved, STEPS))
        expected[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_its_gradient_drives_attention_away_from_where_it_was():
    repeated = np.array([[[0.9, 0.1], [0.8, 0.2]]], "float32")
    _, (gradient,) = outputs_and_gradients(coverage_loss, [repeated], np.float32(1.0))
    # The second step: place 0 is covered (0.8 < 0.9) and costs, place 1 is not (0.2 > 0.1).
    np.testing.assert_allclose(gradient, [[[0.0, 0.5], [0.5, 0.0]]], atol=1e-6)


def test_half_precision_is_summed_in_full_precision():
    half = ops.cast(ALIGNMENTS, "bfloat16")
    loss = coverage_loss(half, STEPS)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(
        references.coverage_loss(rounded, STEPS), rel=1e-5
    )


def test_alignments_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"must have rank 3.* Received: .*shape=\(5, 11\)"):
        coverage_loss(ALIGNMENTS[0])

"""The penalty for places that get no weight: its number, and when it counts."""

import numpy as np
import pytest

from attnzoo.layers import DoublyStochasticPenalty
from tests import tools


def penalty_of(alignments, mask, **arguments):
    layer = DoublyStochasticPenalty(0.3)
    outputs = layer(alignments, padding_mask=mask, **arguments)
    np.testing.assert_array_equal(tools.to_numpy(outputs), alignments)
    return [float(tools.to_numpy(loss)) for loss in layer.losses]


def test_it_is_the_distance_of_each_places_sum_from_one():
    alignments = np.abs(tools.normal(2, 3, 11))
    mask = tools.lengths_mask([3, 1], 3)
    sums = (alignments.astype("float64") * mask[:, :, None]).sum(axis=1)
    expected = 0.3 * np.square(1.0 - sums).sum(axis=-1).mean()
    (found,) = penalty_of(alignments, mask, training=True)
    assert found == pytest.approx(expected, rel=1e-5)


def test_it_counts_in_training_alone_and_is_nothing_for_even_weights():
    even = np.full((2, 5, 5), 1 / 5, "float32")
    assert penalty_of(even, None) == []
    (found,) = penalty_of(even, None, training=True)
    assert found == pytest.approx(0.0, abs=1e-6)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="`weight` must be at least 0. Received: weight=-1"):
        DoublyStochasticPenalty(-1)

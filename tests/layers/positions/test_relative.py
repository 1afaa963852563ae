import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

QUERY = normal(2, 7, 3, 5, seed=1)
ALIGNMENTS = references.softmax(normal(2, 7, 3, 11, seed=2)).astype("float32")
# Positions need not follow each other.
QUERY_POSITIONS = np.array([5, 0, 9], dtype="int32")
KEY_POSITIONS = np.array([0, 1, 2, 3, 4, 5, 6, 8, 9, 13, 40], dtype="int32")
WHERE = QUERY_POSITIONS, KEY_POSITIONS


def built(**arguments):
    position = layers.RelativePosition(key_dim=5, **arguments)
    position.build()
    set_weights(position)
    return position


@pytest.mark.parametrize("max_distance", [1, 3, 50])
def test_relative_position_follows_its_equations(max_distance):
    position = built(max_distance=max_distance, values=True, value_dim=13)
    weights = weights_of(position)
    assert weights["key_table"].shape == (2 * max_distance + 1, 5)
    assert weights["value_table"].shape == (2 * max_distance + 1, 13)
    found = position.query_bias(ops.convert_to_tensor(QUERY), *WHERE)
    assert_close(found, references.relative_query_bias(QUERY, weights["key_table"], *WHERE))
    found = position.value_bias(ops.convert_to_tensor(ALIGNMENTS), *WHERE)
    assert_close(found, references.relative_value_bias(ALIGNMENTS, weights["value_table"], *WHERE))


def test_it_is_linear_in_the_query():
    position = built()
    query = ops.convert_to_tensor(QUERY)
    assert_close(position.query_bias(0.3 * query, *WHERE), 0.3 * position.query_bias(query, *WHERE))


def test_values_are_for_who_asks():
    position = built()
    assert position.value_bias(ops.convert_to_tensor(ALIGNMENTS), *WHERE) is None
    assert not position.needs_alignments and len(position.weights) == 1
    assert built(values=True).needs_alignments
    assert built(values=True).value_dim == 5


def test_far_is_far():
    position = built(max_distance=3)
    query = ops.convert_to_tensor(QUERY[:, :, :1])
    bias = to_numpy(position.query_bias(query, np.array([1000]), np.arange(997)))
    assert_close(bias, np.broadcast_to(bias[..., :1], bias.shape), tolerance=1e-6)


@pytest.mark.parametrize("size", ["key_dim", "max_distance", "value_dim"])
def test_no_size_is_refused(size):
    with pytest.raises(ValueError, match=f"`{size}` must be .* Received: {size}=0"):
        layers.RelativePosition(**{"key_dim": 5, size: 0})

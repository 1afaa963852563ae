import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.positions.alibi import alibi_slopes
from tests import references
from tests.tools import assert_close, normal, to_numpy


def test_slopes_of_a_power_of_two_are_one_geometric_sequence():
    np.testing.assert_allclose(alibi_slopes(8), [0.5**n for n in range(1, 9)])
    np.testing.assert_allclose(alibi_slopes(16), [2 ** (-n / 2) for n in range(1, 17)])
    assert alibi_slopes(1) == [2**-8] and alibi_slopes(2) == [2**-4, 2**-8]


def test_other_slopes_lie_between():
    # Four heads, then the first, third and fifth of eight.
    expected = [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3, 2**-5]
    for num_heads in (5, 6, 7):
        np.testing.assert_allclose(alibi_slopes(num_heads), expected[:num_heads])


def test_scores_fall_with_the_distance():
    queries, keys = np.array([5, 0, 1000]), np.arange(11)
    distance = np.abs(keys[None, :] - queries[:, None])
    expected = -np.array(alibi_slopes(7))[:, None, None] * distance
    assert_close(layers.AlibiPosition(7).bias(queries, keys), expected.astype("float32"))


def test_half_precision_tells_far_tokens_apart():
    bias = layers.AlibiPosition(1, dtype="bfloat16").bias(np.array([1009]), np.arange(11))
    np.testing.assert_allclose(np.diff(to_numpy(bias)[0, 0]), 2**-8, rtol=1e-6)


@pytest.mark.parametrize("num_heads", [7, 8])
def test_under_a_causal_mask_it_is_what_keras_hub_computes(num_heads):
    scores = normal(2, num_heads, 11, 11, seed=1)
    causal = np.tril(np.ones((11, 11), bool))
    peer = to_numpy(keras_hub.layers.AlibiBias()(ops.convert_to_tensor(scores)))
    steps = np.arange(11)
    ours = scores + to_numpy(layers.AlibiPosition(num_heads).bias(steps, steps))
    assert_close(references.softmax(ours, causal), references.softmax(peer, causal))


def test_no_heads_are_refused():
    with pytest.raises(ValueError, match="`num_heads` must be .* Received: num_heads=0"):
        layers.AlibiPosition(0)

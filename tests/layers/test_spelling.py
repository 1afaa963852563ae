"""The spelling of words, held to a convolution written out."""

import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import tools

B, S, W, U, E = 2, 3, 5, 7, 2


def make():
    layer = layers.WordSpelling(U, embedding_dim=E, kernel_size=3)
    layer.build((None, None, None))
    tools.set_weights(layer, scale=0.5)
    return layer


def words():
    letters = np.random.default_rng(0).integers(1, 256, (B, S, W))
    lengths = np.array([[5, 3, 1], [4, 2, 0]])
    return (letters * (np.arange(W) < lengths[:, :, None])).astype("int32")


def test_it_is_the_largest_feature_of_all_windows():
    layer, given = make(), words()
    table, kernel, bias = (tools.to_numpy(one).astype("float64") for one in layer.weights)
    found = tools.to_numpy(layer(ops.convert_to_tensor(given)))
    assert found.shape == (B, S, U)
    for row, place in np.ndindex(B, S):
        letters = given[row, place][given[row, place] > 0]
        if not len(letters):
            assert not found[row, place].any()
            continue
        padded = np.pad(table[letters], ((1, 1), (0, 0)))
        features = [
            np.einsum("ke,keu->u", padded[first : first + 3], kernel) + bias
            for first in range(len(letters))
        ]
        np.testing.assert_allclose(found[row, place], np.tanh(features).max(axis=0), atol=1e-5)


@pytest.mark.shared("torch")
def test_more_room_for_letters_changes_nothing():
    layer, given = make(), words()
    wider = np.pad(given, ((0, 0), (0, 0), (0, 2)))
    one, other = (tools.to_numpy(layer(ops.convert_to_tensor(x))) for x in (given, wider))
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", ["units", "embedding_dim", "kernel_size"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}=0"):
        layers.WordSpelling(**{"units": 7, name: 0})

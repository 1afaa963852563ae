import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, to_numpy

ROWS = normal(2, 7, 3, 14, seed=1), normal(2, 7, 11, 14, seed=2)
QUERY, KEY = map(ops.convert_to_tensor, ROWS)
QUERY_POSITIONS = np.array([5, 6, 7], dtype="int32")
KEY_POSITIONS = np.arange(11, dtype="int32")


@pytest.mark.parametrize("max_wavelength", [10000.0, 50.0])
def test_rotary_position_follows_its_equation(max_wavelength):
    position = layers.RotaryPosition(max_wavelength=max_wavelength)
    found = position.rotate(
        *map(ops.convert_to_tensor, (QUERY, KEY)), QUERY_POSITIONS, KEY_POSITIONS
    )
    expected = (
        references.rotary_position(ROWS[0], QUERY_POSITIONS, max_wavelength),
        references.rotary_position(ROWS[1], KEY_POSITIONS, max_wavelength),
    )
    assert_close(found, expected)


def test_query_and_key_may_share_their_positions():
    query, key = QUERY, KEY[:, :, :3]
    position, steps = layers.RotaryPosition(), ops.arange(3)
    apart = position.rotate(query, key, steps, ops.arange(3))
    assert_close(position.rotate(query, key, steps, steps), apart, tolerance=0.0)


def test_products_depend_on_the_distance_alone():
    row, other = normal(1, 1, 1, 14, seed=3), normal(1, 1, 1, 14, seed=4)
    queries, keys = np.repeat(row, 11, axis=2), np.repeat(other, 11, axis=2)
    position = layers.RotaryPosition()
    query, key = position.rotate(
        *map(ops.convert_to_tensor, (queries, keys)), KEY_POSITIONS + 3, KEY_POSITIONS
    )
    products = to_numpy(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))[0, 0]
    for distance in range(-10, 11):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], rtol=1e-5, atol=1e-5)
    assert np.ptp(products) > 0.1


def test_a_turn_changes_no_length():
    query, _ = layers.RotaryPosition().rotate(QUERY, KEY, QUERY_POSITIONS, KEY_POSITIONS)
    lengths = np.linalg.norm(to_numpy(query), axis=-1)
    np.testing.assert_allclose(lengths, np.linalg.norm(ROWS[0], axis=-1), rtol=1e-5)


def test_angles_are_float32_in_half_precision():
    far = KEY_POSITIONS + 20011
    query, key = (ops.cast(rows, "bfloat16") for rows in (QUERY, KEY))
    found, _ = layers.RotaryPosition(dtype="bfloat16").rotate(query, key, far[:3], far)
    expected = references.rotary_position(to_numpy(query), far[:3])
    assert_close(found, expected.astype("float32"), tolerance=0.05)


def test_keras_hub_turns_the_same_pairs():
    peer = keras_hub.layers.RotaryEmbedding(max_wavelength=77.0, sequence_axis=2)
    position = layers.RotaryPosition(max_wavelength=77.0)
    _, key = position.rotate(QUERY, KEY, QUERY_POSITIONS, KEY_POSITIONS)
    assert_close(key, peer(KEY))


def test_an_odd_width_is_refused():
    rows = QUERY[..., :5]
    with pytest.raises(ValueError, match="`key_dim` must be even: .* Received: key_dim=5"):
        layers.RotaryPosition().rotate(rows, rows, QUERY_POSITIONS, QUERY_POSITIONS)


def test_waves_must_get_longer():
    with pytest.raises(ValueError, match="`max_wavelength` must .* Received: max_wavelength=0.5"):
        layers.RotaryPosition(max_wavelength=0.5)

import keras_hub
import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, to_numpy


@pytest.mark.parametrize("width", [1, 5, 14])
def test_sinusoidal_position_follows_its_equation(width):
    x = normal(2, 11, width, seed=1)
    expected = x + references.sinusoidal_position(np.arange(11), width)
    assert_close(layers.SinusoidalPosition()(x), expected)


def test_positions_far_out_follow_it_too():
    positions = np.array([0, 511, 512, 100003], dtype="int32")
    found = layers.SinusoidalPosition(max_wavelength=1000.0)(np.zeros((1, 4, 5)), positions)
    expected = references.sinusoidal_position(positions, 5, 1000.0)[None]
    assert_close(found, expected, tolerance=2e-2)  # A float32 has 7 digits.
    assert_close(found[:, :3], expected[:, :3], tolerance=1e-4)


def test_angles_are_float32_in_half_precision():
    found = layers.SinusoidalPosition(dtype="bfloat16")(np.zeros((1, 1009, 14), "float32"))
    expected = references.sinusoidal_position(np.arange(1009), 14)[None]
    np.testing.assert_allclose(to_numpy(found), expected, atol=2**-8)


def test_keras_hub_has_the_same_waves():
    x = normal(2, 11, 14, seed=1)
    peer = keras_hub.layers.SinePositionEncoding(max_wavelength=77.0)
    found = layers.SinusoidalPosition(max_wavelength=77.0)(x)
    assert_close(found, x + to_numpy(peer(x)))


def test_waves_must_get_longer():
    with pytest.raises(ValueError, match="`max_wavelength` must .* Received: max_wavelength=1.0"):
        layers.SinusoidalPosition(max_wavelength=1.0)

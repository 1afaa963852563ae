import keras
import numpy as np
import pytest

from attnzoo.training import PeakSignalToNoise


def test_it_is_the_mean_of_decibels_over_images():
    draw = np.random.default_rng(0)
    targets, images = draw.random((2, 3, 5, 7, 3))
    images[0] = 1.5 * targets[0]  # Partly above 1, which is clipped.
    errors = ((np.clip(images, 0, 1) - targets) ** 2).mean(axis=(1, 2, 3))
    expected = (-10.0 * np.log10(errors)).mean()
    assert float(PeakSignalToNoise()(targets, images)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend_free
def test_equal_images_have_100_decibels():
    metric = keras.metrics.get(keras.metrics.serialize(PeakSignalToNoise(name="own")))
    assert metric.name == "own"
    image = np.full((1, 2, 2, 1), 0.5, "float32")
    assert float(metric(image, image)) == pytest.approx(100.0)

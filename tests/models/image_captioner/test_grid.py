"""The convolutional encoder: its numbers, its grid, its errors."""

import numpy as np
import pytest
from keras import ops

from attnzoo.models.image_captioner.grid import GridEncoder
from tests import tools


def convolve(image, kernel):
    """3 x 3, zeros around, float64."""
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    rows = [
        [np.einsum("hwc,hwcd->d", padded[i : i + 3, j : j + 3], kernel) for j in range(width)]
        for i in range(height)
    ]
    return np.array(rows)


def pool(image):
    height, width, channels = image.shape
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=-np.inf)
    blocks = padded.reshape((height + 1) // 2, 2, (width + 1) // 2, 2, channels)
    return blocks.max(axis=(1, 3))


def test_each_stage_convolves_twice_and_halves_what_the_next_one_sees():
    encoder = GridEncoder([3, 5])
    encoder.build((None, 7, 5, 2))
    tools.set_weights(encoder)
    for norm in encoder.norms:
        norm.moving_variance.assign(np.full(norm.moving_variance.shape, 0.7, "float32"))
    images = tools.normal(2, 7, 5, 2)
    found = tools.to_numpy(encoder(images))
    assert found.shape == (2, 4, 3, 5) == encoder.compute_output_shape((2, 7, 5, 2))
    for image, grid in zip(images.astype("float64"), found, strict=True):
        for n, (convolution, norm) in enumerate(
            zip(encoder.convolutions, encoder.norms, strict=True)
        ):
            image = pool(image) if n == 2 else image
            image = convolve(image, ops.convert_to_numpy(convolution.kernel).astype("float64"))
            gamma, beta, mean, variance = (
                ops.convert_to_numpy(one).astype("float64")
                for one in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
            )
            image = np.maximum(gamma * (image - mean) / np.sqrt(variance + 1e-3) + beta, 0.0)
        np.testing.assert_allclose(grid, image, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "filters, message",
    [
        ([], "`filters` must have at least one stage. Received: filters="),
        ([3, 0], "`filters` must be a whole number, at least 1. Received: filters=0"),
    ],
)
@pytest.mark.backend_free
def test_filters_that_cannot_be_are_refused(filters, message):
    with pytest.raises(ValueError, match=message):
        GridEncoder(filters)

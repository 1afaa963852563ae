import numpy as np
import pytest
from PIL import Image

from attnzoo.ops.image_sizes import bicubic_enlarge, pad_to_multiple, pixel_shuffle
from tests.models.hat.tiny import shuffled
from tests.tools import assert_close, normal, to_numpy


@pytest.mark.parametrize(("height", "width"), [(7, 4), (2, 9), (1, 1)])
def test_images_are_reflected_to_whole_windows(height, width):
    images = normal(2, height, width, 3)
    edges = [(0, 0), (0, -height % 4), (0, -width % 4), (0, 0)]
    assert_close(pad_to_multiple(images, 4), np.pad(images, edges, mode="reflect"))


def test_channels_are_spread_over_pixels():
    x = normal(2, 3, 5, 8)
    assert_close(pixel_shuffle(x, 2), shuffled(x, 2))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bicubic_images_are_those_of_pillow(scale):
    image = normal(5, 7, seed=scale)
    size = (7 * scale, 5 * scale)
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    assert_close(to_numpy(bicubic_enlarge(image[None, :, :, None], scale))[0, ..., 0], expected)

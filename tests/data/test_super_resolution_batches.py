import numpy as np
import pytest
from PIL import Image

from attnzoo.data import SuperResolutionBatches, shrink_image

pytestmark = pytest.mark.backend_free


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype("uint8")


def batches(**arguments):
    sizes = {"scale": 2, "patch_size": 4, "batch_size": 3, "batches_per_epoch": 5, **arguments}
    return SuperResolutionBatches([photo(17, 11), photo(10, 8, seed=1)], **sizes)


def test_an_image_is_shrunk_as_pillow_does():
    image = photo(9, 13)
    expected = Image.fromarray(image[:9, :12]).resize((4, 3), Image.Resampling.BICUBIC)
    assert np.array_equal(shrink_image(image, 3), np.asarray(expected))


def test_small_and_large_patches_are_of_one_place():
    data = batches()
    small, large = data[0]
    assert len(data) == 5 and small.shape == (3, 4, 4, 3) and large.shape == (3, 8, 8, 3)
    assert small.dtype == large.dtype == np.float32 and 0.0 <= small.min() and small.max() <= 1.0
    for one, target in zip(np.rint(small * 255), np.rint(large * 255), strict=True):
        assert any(_is_at(one, target, pair, data) for pair in data.pairs)


def _is_at(one, target, pair, data):
    """Whether the two patches are cut out of one place of a pair, turned and mirrored alike."""
    for turns in range(4):
        for mirrored in (False, True):
            a, b = (
                np.rot90(patch[:, ::-1] if mirrored else patch, -turns) for patch in (one, target)
            )
            for row in range(pair[0].shape[0] - 3):
                for column in range(pair[0].shape[1] - 3):
                    if np.array_equal(pair[0][row : row + 4, column : column + 4], a):
                        top, left = 2 * row, 2 * column
                        return np.array_equal(pair[1][top : top + 8, left : left + 8], b)
    return False


def test_each_epoch_has_other_patches_and_a_seed_the_same_ones():
    data, again = batches(seed=1), batches(seed=1)
    first = data[0][0]
    assert np.array_equal(first, again[0][0]) and not np.array_equal(first, data[1][0])
    data.on_epoch_end()
    assert not np.array_equal(first, data[0][0])
    assert not np.array_equal(first, batches(seed=2)[0][0])


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match=r"at least 8 pixels high and wide. Received: \[\]"):
        SuperResolutionBatches([], scale=2, patch_size=4)
    with pytest.raises(ValueError, match=r"at least 20 pixels.*\(17, 11, 3\), \(10, 8, 3\)"):
        batches(patch_size=10)
    with pytest.raises(ValueError, match=r"must be uint8 \[H, W, C\].*float64 \(4, 4, 3\)"):
        shrink_image(np.zeros((4, 4, 3)), 2)

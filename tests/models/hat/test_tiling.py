import numpy as np
import pytest

from attnzoo.models.hat.tiling import Tiles
from tests.models.hat import tiny
from tests.tools import assert_close


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("bicubic_skip", [True, False])
@pytest.mark.usefixtures("without_compilation")
@pytest.mark.rotates
def test_tiles_give_what_the_whole_image_gives(scale, bicubic_skip):
    task = tiny.make_task(scale, bicubic_skip=bicubic_skip)
    image = np.random.default_rng(0).random((13, 22, 3), dtype="float32")
    whole = task(image[None])[0]
    assert_close(task.enlarge_in_tiles(image, 6), whole, tolerance=1e-5)


@pytest.mark.shared("torch")
@pytest.mark.parametrize("tile_size", [1, 4, 9, 100])
def test_predict_takes_tiles_of_any_size(tile_size):
    task = tiny.make_task()
    image = np.random.default_rng(0).random((9, 14, 3), dtype="float32")
    assert_close(task.predict(image, tile_size=tile_size), task.predict(image), tolerance=1e-5)


@pytest.mark.backend_free
@pytest.mark.parametrize(("window", "tile"), [(4, 4), (4, 7), (16, 100), (1, 1)])
@pytest.mark.parametrize("windows", [1, 2, 5, 13])
def test_tiles_cover_each_place_once_and_have_one_size(window, tile, windows):
    tiles, length = Tiles(window, tile), windows * window
    spans = list(tiles._spans(length))
    assert [place for span in spans for place in range(*span[:2])] == list(range(length))
    for start, end, first, last in spans:
        assert 0 <= first <= start < end <= last <= length
        assert start - first >= min(start, tiles.margin)
        assert last - end >= min(length - end, tiles.margin)
        assert first % window == last % window == 0
    assert len({last - first for _, _, first, last in spans}) == 1

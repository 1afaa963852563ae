import numpy as np
import pytest

from attnzoo.ops.image_windows import (
    merge_windows,
    overlapping_relative_places,
    partition_overlapping_windows,
    partition_windows,
    relative_places,
    shifted_window_mask,
)
from tests.hat_references import Arrays
from tests.tools import assert_close, normal, to_numpy

X = normal(2, 6, 9, 5, seed=1)


def test_windows_are_cut_by_rows_and_put_back():
    windows = to_numpy(partition_windows(X, 3))
    assert_close(windows[7].reshape(3, 3, 5), X[1, :3, 3:6])  # The second of the second image.
    assert_close(merge_windows(windows, 6, 9, 3), X)


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_overlapping_windows_reach_into_their_neighbours(margin):
    wide = 3 + 2 * margin
    windows = to_numpy(partition_overlapping_windows(X, 3, margin)).reshape(2, 2, 3, wide, wide, 5)
    padded = np.pad(X, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    for b, row, column in np.ndindex(2, 2, 3):
        top, left = 3 * row, 3 * column
        expected = padded[b, top : top + wide, left : left + wide]
        assert_close(windows[b, row, column], expected)


@pytest.mark.shared("torch")
def test_tables_are_those_of_the_paper():
    arrays = Arrays("hat_index_tables")
    for size in (4, 16):
        wide = size * 3 // 2
        assert np.array_equal(relative_places(size), arrays[f"out/rpi_sa_ws{size}"])
        places = arrays[f"out/rpi_oca_ws{size}"] % (size + wide - 1) ** 2
        assert np.array_equal(overlapping_relative_places(size, wide), places)
    mask = to_numpy(shifted_window_mask(8, 12, 4, 2))
    assert np.array_equal(mask, arrays["out/mask_ws4_8x12"] == 0.0)

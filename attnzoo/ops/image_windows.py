"""Windows of images: cut out, put back, and compared by their relative places."""

import numpy as np
from keras import ops


def partition_windows(images, size: int):
    """Cut images into windows, side by side, in the order of rows.

    Args:
        images: [B, H, W, C]. H and W are multiples of `size`.
        size: Height and width of a window, in pixels.

    Returns:
        [B * Nw, size * size, C], dtype of `images`, with Nw = H * W / size ** 2.
    """
    _, height, width, channels = ops.shape(images)
    shape = (-1, height // size, size, width // size, size, channels)
    windows = ops.transpose(ops.reshape(images, shape), (0, 1, 3, 2, 4, 5))
    return ops.reshape(windows, (-1, size * size, channels))


def merge_windows(windows, height, width, size: int):
    """Put windows back: the inverse of `partition_windows`.

    Args:
        windows: [B * Nw, size * size, C].
        height: H, the height of the images, in pixels.
        width: W, their width, in pixels.
        size: Height and width of a window, in pixels.

    Returns:
        [B, H, W, C], dtype of `windows`.
    """
    channels = windows.shape[-1]
    shape = (-1, height // size, width // size, size, size, channels)
    images = ops.transpose(ops.reshape(windows, shape), (0, 1, 3, 2, 4, 5))
    return ops.reshape(images, (-1, height, width, channels))


def partition_overlapping_windows(images, size: int, margin: int):
    """Cut out windows that reach `margin` pixels into their neighbours, and zeros beyond the image.

    Args:
        images: [B, H, W, C]. H and W are multiples of `size`.
        size: Height and width of a window without its margin, in pixels.
        margin: Number of pixels on each side. In 0..size.

    Returns:
        [B * Nw, (size + 2 * margin) ** 2, C], dtype of `images`.
    """
    _, height, width, channels = ops.shape(images)
    rows, columns, wide = height // size, width // size, size + 2 * margin
    blocks = ops.reshape(images, (-1, rows, size, width, channels))
    blocks = _with_margins(blocks, margin, size)  # [B, rows, wide, W, C]
    blocks = ops.reshape(blocks, (-1, columns, size, channels))  # [B * rows * wide, ...]
    blocks = _with_margins(blocks, margin, size)
    windows = ops.reshape(blocks, (-1, rows, wide, columns, wide, channels))
    windows = ops.transpose(windows, (0, 1, 3, 2, 4, 5))
    return ops.reshape(windows, (-1, wide * wide, channels))


def _with_margins(blocks, margin, size):
    """Prepend the end of the block before, and append the start of the next: axis 1 and 2."""
    if not margin:
        return blocks
    rest = [[0, 0]] * (len(blocks.shape) - 2)
    before = ops.pad(blocks[:, :-1, size - margin :], [[0, 0], [1, 0], *rest])
    after = ops.pad(blocks[:, 1:, :margin], [[0, 0], [0, 1], *rest])
    return ops.concatenate([before, blocks, after], axis=2)


def shifted_window_mask(height, width, size: int, shift: int):
    """Return which pixels of a rolled image may attend to each other.

    An image that was rolled by `-shift` has pixels from opposite edges in its last windows; only
    those that were neighbours may attend to each other.

    Args:
        height: H, in pixels. A multiple of `size`.
        width: W, in pixels. A multiple of `size`.
        size: Height and width of a window, in pixels.
        shift: In 1..size - 1, in pixels.

    Returns:
        bool [Nw, size * size, size * size]. True = may attend.
    """
    rows = _regions(height, size, shift)[:, None]
    columns = _regions(width, size, shift)[None, :]
    regions = partition_windows((3 * rows + columns)[None, :, :, None], size)[..., 0]
    return ops.equal(regions[:, :, None], regions[:, None, :])


def _regions(length, size, shift):
    """Number the parts of a rolled axis: whole windows, the cut window's end, the other edge."""
    places = ops.arange(length, dtype="int32")
    cut = ops.cast(places >= length - size, "int32")
    return cut + ops.cast(places >= length - shift, "int32")


def relative_places(size: int) -> np.ndarray:
    """Return the row of a bias table for each pair of pixels in a window.

    Returns:
        int32 [size ** 2, size ** 2], queries by keys, in 0..(2 size - 1) ** 2 - 1: the row of the
        offset from key to query.
    """
    rows, columns = _offsets(size, size)
    return ((size - 1 - rows) * (2 * size - 1) + size - 1 - columns).astype("int32")


def overlapping_relative_places(size: int, wide: int) -> np.ndarray:
    """Return the row of a bias table for each pixel of a window and each of the one around it.

    The offset is that from query to key, moved by size - wide + 1. Offsets that are still negative
    count from the end of the table, as in the paper's code.

    Args:
        size: Height and width of the queries' window, in pixels.
        wide: Height and width of the keys' window, in pixels.

    Returns:
        int32 [size ** 2, wide ** 2], in 0..(size + wide - 1) ** 2 - 1.
    """
    span = size + wide - 1
    rows, columns = (offsets + size - wide + 1 for offsets in _offsets(size, wide))
    return ((rows * span + columns) % span**2).astype("int32")


def _offsets(size, wide):
    """Return row and column offsets from each query to each key, int [size ** 2, wide ** 2]."""
    query, key = (np.indices((side, side)).reshape(2, -1) for side in (size, wide))
    rows, columns = key[:, None, :] - query[:, :, None]
    return rows, columns

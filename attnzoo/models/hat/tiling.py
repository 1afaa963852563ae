"""HAT over an image in tiles, for images that are too large for the memory.

The network does not run on each tile alone: its channel attention needs means over the whole image,
and its receptive field spans hundreds of pixels. It goes layer by layer over all tiles instead,
with maps of the whole image between the layers. A layer sees only the next window around a pixel,
so that a margin of one window on each side of a tile makes the result that of the whole image.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from attnzoo.backend import ON_TORCH
from attnzoo.ops.image_sizes import pad_to_multiple

# Pixels around one that the convolutions at the end see: fewer than these.
_LEAST_MARGIN = 4


def enlarge_in_tiles(task, image: np.ndarray, tile_size: int) -> np.ndarray:
    """Return the output of a HAT for one image.

    Args:
        task: A `HATSuperResolution`.
        image: float [H, W, C], in 0..1.
        tile_size: Height and width of a tile without its margin, in pixels; rounded up to windows.

    Returns:
        float32 [scale H, scale W, C].
    """
    with _without_gradients():
        backbone = task.backbone
        tiles = Tiles(backbone.window_size, tile_size)
        padded = ops.convert_to_numpy(pad_to_multiple(image[None], backbone.window_size))[0]
        x = tiles.map(lambda one: backbone.first_norm(backbone.embed(one)), padded)
        for group in backbone.groups:
            x = _run_group(group, x, tiles)
        residual = tiles.map(
            lambda one, deep: task.reconstruct(backbone.join(backbone.embed(one), deep)),
            padded,
            x,
            scale=task.scale,
        )
        outputs = task.recompose(residual[None], ops.convert_to_tensor(image[None]))
        return ops.convert_to_numpy(ops.cast(outputs, "float32"))[0]


class Tiles:
    """Runs functions over maps, tile by tile.

    Args:
        window_size: Tiles begin and end at multiples of it, in pixels.
        tile_size: Height and width of a tile without its margin, in pixels; rounded up.
    """

    def __init__(self, window_size: int, tile_size: int):
        self.size = -(-tile_size // window_size) * window_size
        self.margin = -(-_LEAST_MARGIN // window_size) * window_size

    def map(self, function: Callable, *maps: np.ndarray, scale: int = 1) -> np.ndarray:
        """Return the map of a function's results.

        Args:
            function: Function of tensors [1, h, w, C], a tile of each map with its margin, to
                float [1, scale h, scale w, D].
            *maps: float [H, W, C]. H and W are multiples of the window's size.
            scale: How much larger the results are.

        Returns:
            float32 [scale H, scale W, D].
        """
        outputs = None
        height, width = maps[0].shape[:2]
        for inner, result in self._results(function, maps, scale):
            if outputs is None:
                outputs = np.empty((scale * height, scale * width, result.shape[-1]), "float32")
            outputs[inner] = result
        assert outputs is not None
        return outputs

    def mean(self, function: Callable, *maps: np.ndarray) -> np.ndarray:
        """Return the mean over all pixels of a function's results, float32 [1, D]."""
        height, width = maps[0].shape[:2]
        results = self._results(function, maps, scale=1)
        total = sum(result.sum(axis=(0, 1), dtype="float64") for _, result in results)
        return (total / (height * width)).astype("float32")[None]

    def _results(self, function, maps, scale) -> Iterator[tuple]:
        """Yield the place of each tile, as slices, and its result without margin."""
        height, width = maps[0].shape[:2]
        for top, bottom, first_row, last_row in self._spans(height):
            for left, right, first_column, last_column in self._spans(width):
                with_margin = (slice(first_row, last_row), slice(first_column, last_column))
                tiles = [ops.convert_to_tensor(one[with_margin][None]) for one in maps]
                result = ops.convert_to_numpy(ops.cast(function(*tiles), "float32"))[0]
                rows = slice(scale * (top - first_row), scale * (bottom - first_row))
                columns = slice(scale * (left - first_column), scale * (right - first_column))
                place = (slice(scale * top, scale * bottom), slice(scale * left, scale * right))
                yield place, result[rows, columns]

    def _spans(self, length) -> Iterator[tuple[int, int, int, int]]:
        """Yield start and end of each tile on an axis, without and with its margin.

        With margin all tiles have one length, so that few shapes are compiled.
        """
        whole = min(self.size + 2 * self.margin, length)
        for start in range(0, length, self.size):
            first = min(max(start - self.margin, 0), length - whole)
            yield start, min(start + self.size, length), first, first + whole


def _run_group(group, x, tiles):
    """Return the output of a `ResidualHybridAttentionGroup` for a map."""
    y = x
    for block in group.blocks:
        pooled = ops.convert_to_tensor(tiles.mean(block.convolve, y))
        y = tiles.map(lambda one, block=block, pooled=pooled: block(one, pooled), y)
    y = tiles.map(group.overlapping_block, y)
    return tiles.map(lambda one, residual: residual + group.output_conv(one), y, x)


def _without_gradients():
    if not ON_TORCH:
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()

"""Batches for super-resolution: patches of images, and the same ones made small."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.checks import check_positive


def shrink_image(image: np.ndarray, scale: int) -> np.ndarray:
    """Return an image made smaller by Pillow's bicubic filter with antialiasing.

    Args:
        image: uint8 [H, W, C]. What exceeds a multiple of `scale` at the bottom and the right is
            cut off.
        scale: Factor of both sizes. At least 1.

    Returns:
        uint8 [H // scale, W // scale, C].

    Raises:
        ValueError: If the image has another shape or dtype, or is smaller than `scale`.
    """
    from PIL import Image

    if np.ndim(image) != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < scale:
        raise ValueError(
            f"An image must be uint8 [H, W, C], and at least {scale} pixels high and wide. "
            f"Received: {np.asarray(image).dtype} {np.shape(image)}"
        )
    height, width = (side // scale for side in image.shape[:2])
    planes = [
        Image.fromarray(np.ascontiguousarray(image[: height * scale, : width * scale, channel]))
        for channel in range(image.shape[-1])
    ]
    small = [plane.resize((width, height), Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane) for plane in small], axis=-1)


class SuperResolutionBatches(keras.utils.PyDataset):
    """Patches from random places of images, small and large, for `fit`.

    Each image is made smaller once, as a whole; a patch is cut out of both at the same place, and
    both are turned and mirrored in one of the 8 ways. All images are equally probable. Each epoch
    has other patches; the seed, the epoch and the number of the batch determine them.

    Args:
        images: uint8 [H, W, C] each.
        scale: Factor of both sizes. At least 1.
        patch_size: Height and width of a small patch, in pixels.
        batch_size: Number of patches in a batch.
        batches_per_epoch: Number of batches in an epoch.
        seed: Seed of places and turns.
        **kwargs: As in `keras.utils.PyDataset`: `workers`, ...

    Returns:
        Batches `(small, large)`, float32 [B, patch_size, patch_size, C] and
        [B, scale patch_size, scale patch_size, C], in 0..1.

    Raises:
        ValueError: If a number is below 1, there is no image, or one is invalid or smaller than a
            patch.

    Example:
        >>> batches = attnzoo.data.SuperResolutionBatches(
        ...     images, scale=2, patch_size=32, batch_size=8, batches_per_epoch=100)
        >>> task.fit(batches, epochs=10)
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        *,
        scale: int,
        patch_size: int = 32,
        batch_size: int = 16,
        batches_per_epoch: int = 100,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
            scale=scale,
            patch_size=patch_size,
            batch_size=batch_size,
            batches_per_epoch=batches_per_epoch,
        )
        pairs = [(shrink_image(image, scale), image) for image in images]
        if not pairs or any(min(small.shape[:2]) < patch_size for small, _ in pairs):
            raise ValueError(
                f"There must be an image, and each at least {scale * patch_size} pixels high and "
                f"wide. Received: {[large.shape for _, large in pairs]}"
            )
        self.pairs = pairs
        self.scale = scale
        self.patch_size = patch_size
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.seed = seed
        self.epoch = 0

    def __len__(self):
        return self.batches_per_epoch

    def __getitem__(self, index):
        draw = np.random.default_rng((self.seed, self.epoch, index))
        patches = [self._draw_patch(draw) for _ in range(self.batch_size)]
        small, large = (np.stack(part) for part in zip(*patches, strict=True))
        return small / np.float32(255.0), large / np.float32(255.0)

    def on_epoch_end(self):
        """Move on to the patches of the next epoch."""
        self.epoch += 1

    def _draw_patch(self, draw):
        """Return a small patch and its large one, uint8."""
        small, large = self.pairs[draw.integers(len(self.pairs))]
        size, scale = self.patch_size, self.scale
        row, column = (draw.integers(0, side - size + 1) for side in small.shape[:2])
        turns, mirrored = draw.integers(0, 4), draw.integers(0, 2)
        patch = small[row : row + size, column : column + size]
        row, column = scale * row, scale * column
        target = large[row : row + scale * size, column : column + scale * size]
        pair = (np.rot90(one, turns) for one in (patch, target))
        return tuple(one[:, ::-1] if mirrored else one for one in pair)

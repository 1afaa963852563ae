"""Base of super-resolution: from small images to large ones."""

from typing import Any

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.models.preprocessing.images import is_one_image, read_images, to_unit_range
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.batch_sizes import check_distribution
from attnzoo.models.tasks.compiling import build_optimizer
from attnzoo.training import PeakSignalToNoise


class SuperResolutionTask(Task, keras_hub.models.Task):
    """Base of super-resolution tasks.

    A subclass is a functional model from images float [B, H, W, C] in 0..1 to images
    [B, scale H, scale W, C], and has `enlarge_in_tiles`, a function of one image float [H, W, C]
    and the size of a tile to what the model gives, float [scale H, scale W, C].
    """

    scale: int
    backbone: Any

    def make_loss(self, label_smoothing: float):
        """Return the mean absolute error, which "auto" stands for."""
        if label_smoothing:
            raise ValueError(
                "`label_smoothing` is for classes, and images have none. "
                f"Received: label_smoothing={label_smoothing}"
            )
        return keras.losses.MeanAbsoluteError()

    def make_accuracy(self):
        """Return the metric that "auto" stands for."""
        return PeakSignalToNoise()

    def fit(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Small images [B, H, W, C], uint8, or float in 0..1; or a dataset of batches of such
                images and their targets, in float, such as `attnzoo.data.SuperResolutionBatches`.
            y: The large images [B, scale H, scale W, C]; None if `x` is a dataset.
            batch_size: Number of images in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `keras.Model.fit`: `epochs`, `validation_data`, `callbacks`, ...

        Raises:
            ValueError: If an image of `y` is not `scale` times as large as that of `x`.
        """
        build_optimizer(self)
        x, y = self._unit_range(x, y)
        if isinstance(kwargs.get("validation_data"), (tuple, list)):
            images, targets, *weights = kwargs["validation_data"]
            kwargs["validation_data"] = (*self._unit_range(images, targets), *weights)
        return keras.Model.fit(self, x, y, batch_size=batch_size, **kwargs)

    def evaluate(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Return loss and metrics. `x`, `y` and the others are as in `fit`."""
        x, y = self._unit_range(x, y)
        return keras.Model.evaluate(self, x, y, batch_size=batch_size, **kwargs)

    def predict(self, x, batch_size: int | None = None, *, tile_size: int | None = None, **kwargs):  # type: ignore[override]
        """Enlarge images.

        Args:
            x: One image, or a list or an array of images, of any sizes. An image is the path of a
                file that Pillow can read, a picture of Pillow, or an array [H, W] or [H, W, C],
                uint8, or float in 0..1.
            batch_size: Number of images of one size in a batch; 8 if None.
            tile_size: Height and width of the part of an image that is computed at once, in pixels,
                for images too large for the memory; rounded up to whole windows. None computes
                whole images, which is faster. The results are the same to rounding.
            **kwargs: Of `keras.Model.predict`, which have no effect here.

        Returns:
            The enlarged images, NumPy arrays [scale H, scale W, C]: uint8, rounded, or float32 in
            0..1 where floats came. One image for one; one array for an array of images; a list for
            a list.

        Raises:
            ValueError: If an image is invalid, or a number is below 1.
        """
        check_distribution()
        if tile_size is not None:
            check_positive(tile_size=tile_size)
        if batch_size is not None:
            check_positive(batch_size=batch_size)
        images = read_images(x, channels=self.backbone.num_channels)
        groups: dict[tuple, list[int]] = {}
        for place, image in enumerate(images):
            groups.setdefault((image.shape, image.dtype), []).append(place)
        outputs: list = [None] * len(images)
        for places in groups.values():
            for start in range(0, len(places), batch_size or 8):
                part = places[start : start + (batch_size or 8)]
                batch = np.stack([images[place] for place in part])
                for place, output in zip(part, self._enlarge(batch, tile_size), strict=True):
                    outputs[place] = output
        if is_one_image(x):
            return outputs[0]
        return np.stack(outputs) if hasattr(x, "shape") else outputs

    def read(self, inputs: dict) -> dict:
        """Return the large images of the small ones."""
        return {"images": self(inputs["images"])}

    def inputs_of(self, method: str) -> list[str]:
        """Return the names of the inputs of a method such as `read`."""
        return ["images"]

    def _enlarge(self, batch, tile_size):
        """Return a batch [B, H, W, C] enlarged, of its dtype."""
        floats = to_unit_range(batch)
        if tile_size is None:
            floats = self.read_on_batch({"images": floats})["images"]
        else:
            floats = np.stack([self.enlarge_in_tiles(image, tile_size) for image in floats])
        floats = np.clip(floats, 0.0, 1.0)
        if batch.dtype != np.uint8:
            return floats
        return np.rint(floats * 255.0).astype("uint8")

    def _unit_range(self, x, y):
        """Return arrays of images in 0..1; datasets as they are."""
        if y is None:
            return x, y
        small, large = np.shape(x), np.shape(y)
        scale = self.scale
        if len(small) != 4 or large != (small[0], small[1] * scale, small[2] * scale, small[3]):
            raise ValueError(
                f"Each target must be {scale} times as high and wide as its image, with shapes "
                f"[B, H, W, C]. Received: x.shape={small}, y.shape={large}"
            )
        return to_unit_range(x), to_unit_range(y)

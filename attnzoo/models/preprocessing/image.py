"""Preprocessor from pictures to the normalized maps that a network reads."""

import os
from collections.abc import Sequence

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_above, check_positive
from attnzoo.models.parts.presets import explain_preset_errors
from attnzoo.models.preprocessing.images import (
    is_one_image,
    read_images,
    resize_image,
    to_unit_range,
)


class ImagePreprocessor(keras_hub.models.Preprocessor):
    """Reads pictures, resizes them to one size, and normalizes them: (x / 255 - mean) / std.

    It works on what Python has, and in the graph of a `tf.data` pipeline or an export.

    Args:
        image_shape: Height and width of the maps, in pixels, and channels, 1 or 3. Other pictures
            are resized, without regard to their proportions, by bicubic interpolation with
            antialiasing.
        mean: What is taken off, in [0, 1]: a number, or one for each channel.
        std: What is divided by after that; above 0.

    Call arguments:
        x: Pictures as in `attnzoo.data.ImageBatches`: paths, pictures of Pillow or arrays, one or
            several. In a graph a tensor [B, H, W, C], uint8 in [0, 255] or float in [0, 1].
        y, sample_weight: Any values; they are returned unchanged.

    Returns:
        x, `(x, y)` or `(x, y, sample_weight)`, where x is float32 [B, *image_shape], without B for
        one picture.

    Raises:
        ValueError: If there is no picture or one is invalid, `image_shape` is not three numbers
            with 1 or 3 channels, or `std` is not above 0.
    """

    packing_arguments = ("image_shape", "mean", "std")

    def __init__(
        self,
        image_shape: Sequence[int] = (224, 224, 3),
        *,
        mean: float | Sequence[float] = 0.5,
        std: float | Sequence[float] = 0.5,
        **kwargs,
    ):
        image_shape = tuple(image_shape)
        if len(image_shape) != 3 or image_shape[-1] not in (1, 3):
            raise ValueError(
                "`image_shape` must be height, width, and 1 or 3 channels. "
                f"Received: image_shape={image_shape}"
            )
        check_positive(height=image_shape[0], width=image_shape[1])
        for one in np.ravel(std):
            check_above(0, std=float(one))
        super().__init__(**kwargs)
        self.image_shape = image_shape
        self.mean = _plain(mean)
        self.std = _plain(std)

    def call(self, x, y=None, sample_weight=None):
        if hasattr(x, "graph") or type(x).__module__.startswith("tensorflow"):
            packed = self._pack_tensor(x)
        else:
            packed = self.normalize(self.read(x))
            packed = packed[0] if is_one_image(x) else packed
        return keras.utils.pack_x_y_sample_weight(packed, y, sample_weight)

    def read(self, images) -> np.ndarray:
        """Return pictures as one array [B, *image_shape], uint8, or float32 if one is of floats."""
        height, width, channels = self.image_shape
        read = read_images(images, channels=channels)
        resized = [resize_image(image, height, width) for image in read]
        if any(image.dtype != np.uint8 for image in resized):
            resized = [to_unit_range(image) for image in resized]
        return np.stack(resized)

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """Return the normalized maps, float32, of an array from `read`."""
        mean, std = np.asarray(self.mean, "float32"), np.asarray(self.std, "float32")
        return (to_unit_range(images) - mean) / std

    def check_backbone(self, backbone):
        """Raise if the backbone reads another number of channels."""
        channels = backbone.image_shape[-1]
        if channels != self.image_shape[-1]:
            raise ValueError(
                "The preprocessor must give as many channels as the backbone reads, "
                f"{channels}. Received: image_shape={self.image_shape}"
            )

    def _pack_tensor(self, images):
        import tensorflow as tf

        scale = 255.0 if images.dtype == tf.uint8 else 1.0
        size = self.image_shape[:2]
        images = tf.cast(images, tf.float32) / scale
        if tuple(images.shape[-3:-1]) != size:
            images = tf.image.resize(images, size, method="bicubic", antialias=True)
            images = tf.clip_by_value(images, 0.0, 1.0)
        return (images - np.asarray(self.mean, "float32")) / np.asarray(self.std, "float32")

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **kwargs):
        """Load a preprocessor from a preset; `preset` is as in a task's `from_preset`."""
        with explain_preset_errors(preset, cls, kwargs) as place:
            return super().from_preset(place, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "mean": self.mean,
            "std": self.std,
        }


def _plain(number):
    """Return a number, or a list of numbers, that JSON can hold."""
    return [float(one) for one in number] if np.ndim(number) else float(number)

"""The parts of HAT's models that have no weights: padding, means, and pixels out of channels."""

import keras
from keras import ops

from attnzoo.ops.image_sizes import bicubic_enlarge, pad_to_multiple, pixel_shuffle


@keras.saving.register_keras_serializable(package="attnzoo")
class PadToWindows(keras.layers.Layer):
    """Extend images at the bottom and the right, by reflection, to whole windows."""

    def __init__(self, window_size: int, **kwargs):
        super().__init__(**kwargs)
        self.window_size = window_size

    def call(self, images):
        return pad_to_multiple(images, self.window_size)

    def compute_output_shape(self, images_shape):
        size = self.window_size
        sides = [None if side is None else -(-side // size) * size for side in images_shape[1:3]]
        return (images_shape[0], *sides, images_shape[3])

    def get_config(self):
        return {**super().get_config(), "window_size": self.window_size}


@keras.saving.register_keras_serializable(package="attnzoo")
class SubtractMean(keras.layers.Layer):
    """Subtract the mean of each channel. Keras's own `Rescaling` needs TensorFlow everywhere."""

    def __init__(self, image_mean: list[float], **kwargs):
        super().__init__(**kwargs)
        self.image_mean = image_mean

    def call(self, images):
        return images - ops.cast(self.image_mean, images.dtype)

    def compute_output_shape(self, images_shape):
        return images_shape

    def get_config(self):
        return {**super().get_config(), "image_mean": self.image_mean}


@keras.saving.register_keras_serializable(package="attnzoo")
class PixelShuffle(keras.layers.Layer):
    """Spread channels over pixels: see `attnzoo.ops.image_sizes.pixel_shuffle`."""

    def __init__(self, scale: int, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, features):
        return pixel_shuffle(features, self.scale)

    def compute_output_shape(self, features_shape):
        batch, *sides, channels = features_shape
        return batch, *_times(sides, self.scale), channels // self.scale**2

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="attnzoo")
class Recompose(keras.layers.Layer):
    """Make the enlarged image of the network's residual and the small image.

        output = residual, cut to the image's size, + base
        base   = bicubic enlargement of the image, or the mean of each channel

    Args:
        scale: Factor of both sizes.
        image_mean: Mean of each channel, or None for a bicubic base.
    """

    def __init__(self, scale: int, image_mean: list[float] | None, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.image_mean = image_mean

    def call(self, residual, images):
        _, height, width, _ = ops.shape(images)
        residual = residual[:, : height * self.scale, : width * self.scale]
        if self.image_mean is None:
            return residual + bicubic_enlarge(images, self.scale)
        return residual + ops.cast(self.image_mean, residual.dtype)

    def compute_output_shape(self, residual_shape, images_shape):
        batch, *sides, channels = images_shape
        return batch, *_times(sides, self.scale), channels

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "image_mean": self.image_mean}


def _times(sides, scale):
    return [None if side is None else side * scale for side in sides]

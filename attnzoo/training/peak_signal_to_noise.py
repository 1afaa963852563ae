"""Peak signal to noise ratio of images."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class PeakSignalToNoise(keras.metrics.MeanMetricWrapper):
    """Mean over images of the peak signal to noise ratio (PSNR), in dB.

        psnr = -10 log10(mean squared error of all pixels and channels)

    for values in 0..1; predictions are clipped to it. An error of 0 counts as 100 dB.

    Args:
        name: Name of the metric.
        dtype: Dtype of its state.

    Call arguments:
        y_true float [B, H, W, C], y_pred float [B, H, W, C], sample_weight float [B] or None.

    Example:
        >>> metric = attnzoo.training.PeakSignalToNoise()
        >>> round(float(metric([[[[0.5]]]], [[[[0.6]]]])), 3)
        20.0
    """

    def __init__(self, name: str = "psnr", dtype: str | keras.DTypePolicy | None = None):
        super().__init__(_decibels, name=name, dtype=dtype)
        self._direction = "up"

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def _decibels(y_true, y_pred):
    difference = ops.clip(ops.cast(y_pred, "float32"), 0.0, 1.0) - ops.cast(y_true, "float32")
    errors = ops.mean(ops.square(difference), axis=(1, 2, 3))
    return ops.log(ops.maximum(errors, 1e-10)) * (-10.0 / math.log(10.0))

"""Accuracy of tokens."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class TokenAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of target tokens that have the highest logit; padding has weight 0.

    Faster than `keras.metrics.SparseCategoricalAccuracy`: it compares the target's logit with the
    largest logit, and needs no argmax over the vocabulary. A tie counts as right.

    Args:
        name: Name of the metric.
        dtype: Dtype of its state.

    Call arguments:
        y_true int [B, T], y_pred float [B, T, V], sample_weight float [B, T] or None.

    Example:
        >>> metric = attnzoo.training.TokenAccuracy()
        >>> float(metric([[1]], [[[0.2, 0.8]]]))
        1.0
    """

    def __init__(self, name: str = "accuracy", dtype: str | keras.DTypePolicy | None = None):
        super().__init__(_hits, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def _hits(y_true, y_pred):
    targets = ops.cast(y_true, "int32")[..., None]
    chosen = ops.take_along_axis(y_pred, targets, axis=-1)[..., 0]
    return ops.cast(chosen >= ops.max(y_pred, axis=-1), "float32")

"""Losses."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of integer targets with label smoothing.

        loss = (1 - smoothing) * -log p[target] + smoothing * mean over v of -log p[v]

    `sample_weight` masks padding: pass weights of 1 for real tokens and 0 for padding. With
    `reduction="mean_with_sample_weight"`, the default, the loss is then the mean over the real
    tokens, in nats a token. An optimizer that accumulates gradients averages these means over its
    batches: all batches have the same weight, however many tokens they have.

    Args:
        smoothing: Probability mass spread evenly over the vocabulary. In [0, 1).
        reduction: As in `keras.losses.Loss`.

    Call arguments:
        y_true: int [B, T]. Target ids.
        y_pred: float [B, T, V]. Logits.
        sample_weight: float [B, T], or None.

    Returns:
        float scalar, in nats (or [B, T] with `reduction=None`).

    Raises:
        ValueError: If `smoothing` is outside [0, 1).

    Example:
        >>> loss = attnzoo.training.SmoothedCrossEntropy(smoothing=0.1)
        >>> task.compile(optimizer="adam", loss=loss)

    References:
        [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567), section 7.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        *,
        reduction: str | None = "mean_with_sample_weight",
        name: str = "smoothed_cross_entropy",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f"`smoothing` must be in [0, 1). Received: smoothing={smoothing}")
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        shape = ops.shape(y_true)
        # Two axes are cheaper than three on torch, and cost nothing elsewhere.
        logits = ops.cast(ops.reshape(y_pred, (-1, ops.shape(y_pred)[-1])), "float32")  # [B * T, V]
        targets = ops.cast(ops.reshape(y_true, (-1,)), "int32")  # [B * T]
        loss = _nats(targets, logits)
        if self.smoothing:
            everywhere = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
            loss = (1.0 - self.smoothing) * loss + self.smoothing * everywhere
        return ops.reshape(loss, shape)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


def _nats(targets, logits):
    """Return -log p[target] for targets int [N] and logits float [N, V]."""
    if keras.backend.backend() != "jax":
        return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    # Keras's loss multiplies with a one-hot [N, V], and the gradient of a gather is a scatter into
    # another [N, V]. This masked sum is fused with the softmax, forward and backward.
    places = ops.arange(logits.shape[-1], dtype="int32")[None, :]
    chosen = ops.sum(ops.where(places == targets[:, None], logits, 0.0), axis=-1)
    return ops.logsumexp(logits, axis=-1) - chosen

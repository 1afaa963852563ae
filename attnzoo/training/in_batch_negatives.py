"""Contrastive learning: the loss and the accuracy of finding a vector's partner in a batch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class InBatchNegatives(keras.losses.Loss):
    """Cross-entropy of finding a vector's partner among all other vectors of the batch.

        loss[i] = -log softmax over j != i of (vector[i] · vector[j] / temperature), at i's partner

    Two rows with equal `y_true` are partners. All other rows are negatives, so a batch should not
    hold two pairs with the same meaning.

    Args:
        temperature: Divides the similarities. Above 0.
        reduction: As in `keras.losses.Loss`.

    Call arguments:
        y_true: int [B]. The number of each row's pair; each number occurs twice.
        y_pred: float [B, D]. Vectors of unit length.
        sample_weight: float [B], or None.

    Returns:
        float scalar, in nats (or [B] with `reduction=None`).

    Raises:
        ValueError: If `temperature` is not above 0.

    Example:
        >>> loss = attnzoo.training.InBatchNegatives(temperature=0.05)
        >>> task.compile(optimizer="adam", loss=loss)

    References:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), equation 1.
        [Reimers and Gurevych, 2019](https://arxiv.org/abs/1908.10084).
    """

    def __init__(
        self,
        temperature: float = 0.05,
        *,
        reduction: str | None = "mean_with_sample_weight",
        name: str = "in_batch_negatives",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        if not temperature > 0.0:
            raise ValueError(f"`temperature` must be above 0. Received: temperature={temperature}")
        self.temperature = temperature

    def call(self, y_true, y_pred):
        scores = compare_all(y_pred) / self.temperature  # [B, B], -1e9 on the diagonal.
        partner = ops.cast(_partners(y_true), "float32")
        return ops.logsumexp(scores, axis=-1) - ops.sum(partner * scores, axis=-1)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="attnzoo")
class PartnerAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of vectors whose partner is nearer than every other vector of the batch.

    Args:
        name: Name of the metric.
        dtype: Dtype of its state.

    Call arguments:
        As in `InBatchNegatives`.

    Example:
        >>> metric = attnzoo.training.PartnerAccuracy()
        >>> float(metric([7, 7], [[1.0, 0.0], [0.0, 1.0]]))
        1.0
    """

    def __init__(self, name: str = "accuracy", dtype: str | keras.DTypePolicy | None = None):
        super().__init__(_hits, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def compare_all(vectors):
    """Return dot products of all pairs of vectors [B, D], float32 [B, B], diagonal masked."""
    vectors = ops.cast(vectors, "float32")
    scores = ops.matmul(vectors, ops.transpose(vectors))
    return ops.where(_is_self(scores), -1e9, scores)


def _partners(y_true):
    """Return bool [B, B]: True for two different rows with the same number."""
    numbers = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    same = numbers[:, None] == numbers[None, :]
    return ops.logical_and(same, ops.logical_not(_is_self(same)))


def _is_self(square):
    places = ops.arange(ops.shape(square)[0], dtype="int32")
    return places[:, None] == places[None, :]


def _hits(y_true, y_pred):
    scores = compare_all(y_pred)
    partners = _partners(y_true)
    partner = ops.max(ops.where(partners, scores, -1e9), axis=-1)
    others = ops.max(ops.where(partners, -1e9, scores), axis=-1)
    return ops.cast(partner > others, "float32")

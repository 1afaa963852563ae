"""Contrastive learning: of all the vectors in a batch, which one belongs to this one?"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class InBatchNegatives(keras.losses.Loss):
    """Cross-entropy of finding a vector's partner among all other vectors of the batch.

        loss[i] = -log softmax over j != i of (vector[i] · vector[j] / temperature), at i's partner

    Two rows are partners where `y_true` is the same. Whatever else is in the batch is taken for
    wrong: a batch should not hold two pairs that mean the same.

    Args:
        temperature: What similarities are divided by. Above 0.
        reduction: As in `keras.losses.Loss`.

    Call arguments:
        y_true: int [B]. The number of each row's pair; each is there twice.
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
    """Share of vectors whose nearest other one in the batch is their partner, and no third as near.

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
    """Dot products of vectors float [B, D] with each other, float32 [B, B]; none with itself."""
    vectors = ops.cast(vectors, "float32")
    scores = ops.matmul(vectors, ops.transpose(vectors))
    return ops.where(_is_self(scores), -1e9, scores)


def _partners(y_true):
    """bool [B, B]: True where two different rows have the same number."""
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

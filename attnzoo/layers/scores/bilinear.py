"""Bilinear score."""

import keras
from keras import ops

from attnzoo.layers.scores.base import Score
from attnzoo.ops import linear


@keras.saving.register_keras_serializable(package="attnzoo")
class BilinearScore(Score):
    """Bilinear score, which Luong et al. call *general*.

        scores[b, t, s] = query[b, t] · key[b, s]    where key = W memory

    With `scale="learned"` the key is g W memory: one trained number g, which starts at 1, learns
    the size of the scores apart from W.

    Args:
        scale: None or `"learned"`.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If `scale` is unknown.

    Example:
        >>> attnzoo.layers.BilinearScore()(query, memory).shape  # B=2, T=3, Dq=5, S=11, Dm=7
        (2, 3, 11)

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), equation 8.
    """

    placewise = True

    def __init__(self, *, scale: str | None = None, **kwargs):
        super().__init__(**kwargs)
        if scale not in (None, "learned"):
            raise ValueError(f'`scale` must be None or "learned". Received: scale={scale!r}')
        self.scale = scale

    def build(self, query_shape, memory_shape):
        self.kernel = self.add_weight(
            shape=(memory_shape[-1], query_shape[-1]),
            initializer="glorot_uniform",
            name="kernel",
        )
        if self.scale == "learned":
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
        self.built = True

    def project(self, memory):
        key = linear(memory, self.read(self.kernel))  # [B, S, Dq]
        return key if self.scale is None else key * self.read(self.factor)

    def compare(self, query, key):
        return ops.matmul(query, ops.transpose(key, (0, 2, 1)))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}

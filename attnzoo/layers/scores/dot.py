"""Dot-product score."""

import keras
from keras import ops

from attnzoo.layers.scores.base import Score

_SCALES = ("inverse_sqrt", "learned")


@keras.saving.register_keras_serializable(package="attnzoo")
class DotScore(Score):
    """Dot-product score of Luong et al., with the scales in use since.

        scores[b, t, s] = scale * query[b, t] · memory[b, s]

    Args:
        scale: None for 1; `"inverse_sqrt"` for 1 / sqrt(D), which keeps the variance of the scores
            at 1 (Vaswani et al.); `"learned"` for one trained number that starts at 1.

    Call arguments:
        query: float [B, T, D].
        memory: float [B, S, D]. As wide as `query`.

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If `scale` is unknown, or query and memory are not equally wide.

    Example:
        >>> attnzoo.layers.DotScore(scale="inverse_sqrt")(query, memory).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), equation 8.
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 1.
    """

    placewise = True

    def __init__(self, *, scale: str | None = None, **kwargs):
        super().__init__(**kwargs)
        if scale is not None and scale not in _SCALES:
            raise ValueError(f"`scale` must be None or one of {_SCALES}. Received: scale={scale!r}")
        self.scale = scale

    def build(self, query_shape, memory_shape):
        width = query_shape[-1]
        if width != memory_shape[-1]:
            raise ValueError(
                "A dot product needs query and memory of the same width; for two widths use "
                f"`BilinearScore`. Received: query_shape={tuple(query_shape)}, "
                f"memory_shape={tuple(memory_shape)}"
            )
        if self.scale == "learned":
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
        else:
            self.factor = width**-0.5 if self.scale == "inverse_sqrt" else None
        self.built = True

    def compare(self, query, key):
        if self.scale == "learned":
            query = query * self.read(self.factor)
        elif self.scale == "inverse_sqrt":
            query = query * self.factor
        return ops.matmul(query, ops.transpose(key, (0, 2, 1)))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}

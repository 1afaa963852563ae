"""Bilinear score."""

import keras
from keras import ops

from attnzoo.layers.scores.base import Score
from attnzoo.ops import linear


@keras.saving.register_keras_serializable(package="attnzoo")
class BilinearScore(Score):
    """Bilinear score, which Luong et al. call *general*.

        scores[b, t, s] = query[b, t] · key[b, s]    where key = W memory

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].

    Returns:
        float [B, T, S].

    Example:
        >>> attnzoo.layers.BilinearScore()(query, memory).shape  # B=2, T=3, Dq=5, S=11, Dm=7
        (2, 3, 11)

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), equation 8.
    """

    def build(self, query_shape, memory_shape):
        self.kernel = self.add_weight(
            shape=(memory_shape[-1], query_shape[-1]),
            initializer="glorot_uniform",
            name="kernel",
        )
        self.built = True

    def project(self, memory):
        return linear(memory, self.read(self.kernel))  # [B, S, Dq]

    def compare(self, query, key):
        return ops.matmul(query, ops.transpose(key, (0, 2, 1)))

    def get_config(self):
        # Said here because Keras's automatic one takes no dtype policy.
        return super().get_config()

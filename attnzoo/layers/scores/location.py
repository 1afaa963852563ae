"""Location score."""

import keras
from keras import ops

from attnzoo.checks import check_positive, is_symbol
from attnzoo.layers.scores.base import Score
from attnzoo.ops import linear
from attnzoo.ops.sizes import known_size


@keras.saving.register_keras_serializable(package="attnzoo")
class LocationScore(Score):
    """Location score of Luong et al.: it depends on the query alone.

        scores[b, t, s] = (W query[b, t])[s]

    The content of the memory plays no part, only its length.

    Args:
        max_length: Longest memory that can be attended to, in steps. At least 1.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm], S <= `max_length`.

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If `max_length` < 1, or the memory is longer than `max_length`.

    Example:
        >>> attnzoo.layers.LocationScore(max_length=13)(query, memory).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), equation 9.
    """

    def __init__(self, max_length: int, **kwargs):
        super().__init__(**kwargs)
        check_positive(max_length=max_length)
        self.max_length = max_length

    def build(self, query_shape, memory_shape):
        self.kernel = self.add_weight(
            shape=(query_shape[-1], self.max_length), initializer="glorot_uniform", name="kernel"
        )
        self.built = True

    def project(self, memory):
        if (known_size(memory.shape[1]) or 0) > self.max_length:
            raise ValueError(
                f"The memory must be at most `max_length`={self.max_length} steps long. "
                f"Received: memory.shape={tuple(memory.shape)}"
            )
        return memory[:, :, :1]  # [B, S, 1]: of the memory only its length is used.

    def compare(self, query, key):
        scores = linear(query, self.read(self.kernel))  # [B, T, max_length]
        memory_length = ops.shape(key)[1]
        if is_symbol(memory_length):  # It may be beyond the end: scores there are NaN.
            return ops.take(scores, ops.arange(memory_length, dtype="int32"), axis=-1)
        return scores[:, :, :memory_length]

    def get_config(self):
        return {**super().get_config(), "max_length": self.max_length}

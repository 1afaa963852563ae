"""Coverage score."""

import keras
from keras import ops

from attnzoo.layers.scores.history import HistoryScore


@keras.saving.register_keras_serializable(package="attnzoo")
class CoverageScore(HistoryScore):
    """Coverage score of See et al.: additive, with the sum of the alignments so far.

        scores[b, t, s] = v · tanh(W query[b, t] + key[b, s] + w history[b, t, s])

    where key = U memory + b, and the history is the sum of the alignments before step t. It belongs
    in a `CoverageAttention`.

    Args:
        units: Width U of the hidden layer of the score, in features. At least 1.
        normalize: Whether v is weight-normalized; see `AdditiveScore`.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].
        history: float [B, T, S].

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If `units` < 1, or it is called without a history.

    Example:
        >>> attnzoo.layers.CoverageScore(units=7)(query, memory, coverage).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [See et al., 2017](https://arxiv.org/abs/1704.04368), equation 11.
    """

    attention = "CoverageAttention"

    def build(self, query_shape, memory_shape, history_shape=None):
        super().build(query_shape, memory_shape)
        # As a matrix [1, U], so that Glorot's range is that of one input.
        self.coverage_kernel = self.add_weight(
            shape=(1, self.units), initializer="glorot_uniform", name="coverage_kernel"
        )

    def place(self, history):
        return ops.expand_dims(history, -1) * self.read(self.coverage_kernel)  # [B, T, S, U]

"""Soft attention that remembers where it has been."""

import keras
from keras import ops

from attnzoo.layers.attention.scored import ScoredAttention
from attnzoo.ops import get_normalizer, weighted_sum


class HistoryAttention(ScoredAttention):
    """Base of the soft attentions whose score sees the alignments of the steps before.

        alignments[t] = normalizer(score(query[t], memory, history[t]))
        history[t+1]  = remember(history[t], alignments[t])

    The history, float [B, 1, S], is all zeros before the first step.

    Args:
        score: A `HistoryScore`.
        normalizer: How scores become alignments: `"softmax"`, `"sparsemax"` or `"entmax15"`.
    """

    def __init__(self, score, *, normalizer: str = "softmax", **kwargs):
        super().__init__(**kwargs)
        get_normalizer(normalizer)  # Raises if it is unknown.
        self.score = score
        self.normalizer = normalizer

    def initial_state(self, prepared):
        return ops.zeros_like(prepared["key"][:, None, :, 0])  # [B, 1, S]

    def step(self, query, prepared, state):
        scores = self.score.compare(query, prepared["key"], state)  # [B, K, S]
        alignments = self.align(scores, prepared["mask"])
        context = weighted_sum(alignments, prepared["value"])
        return context, alignments, self.remember(state, alignments)

    def align(self, scores, mask):
        """Make alignments [B, K, S] of scores [B, K, S]."""
        return get_normalizer(self.normalizer)(scores, mask)

    def remember(self, history, alignments):
        """The history that the next step sees; here the sum of all alignments so far."""
        return history + alignments

    def state_spec(self, memory_shape):
        return keras.KerasTensor(memory_shape[:2], dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "normalizer": self.normalizer}

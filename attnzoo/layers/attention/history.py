"""Soft attention with the history of its alignments."""

import keras
from keras import ops

from attnzoo.layers.attention.base import Attention
from attnzoo.layers.attention.scored import ScoredAttention
from attnzoo.layers.scores.history import HistoryScore
from attnzoo.ops import get_normalizer, weighted_sum


class HistoryAttention(ScoredAttention):
    """Base of the soft attentions whose score depends on the alignments before.

        alignments[t] = normalizer(score(query[t], memory, history[t]))
        history[t+1]  = remember(history[t], alignments[t])

    The history, [B, 1, S], is all zeros before the first step. It is kept in float32 at least: in
    bfloat16 a sum stops growing long before the memory is read.

    Args:
        score: A `HistoryScore`.
        normalizer: How scores become alignments: `"softmax"`, `"sparsemax"` or `"entmax15"`.
    """

    def __init__(self, score: HistoryScore, *, normalizer: str = "softmax", **kwargs):
        super().__init__(**kwargs)
        get_normalizer(normalizer)  # Raises if it is unknown.
        self.score = score
        self.normalizer = normalizer

    mask_pairs = Attention.mask_pairs  # A state goes step by step.

    def initial_state(self, prepared):
        places = prepared["key"][:, None, :, 0]  # [B, 1, S]
        return ops.zeros_like(places, dtype=self._history_dtype)

    def step(self, query, prepared, state):
        history = ops.cast(state, self.compute_dtype)
        scores = self.score.compare(query, prepared["key"], history)  # [B, K, S]
        alignments = self.align(scores, prepared["mask"])
        context = weighted_sum(alignments, prepared["value"])
        return context, alignments, self.remember(state, ops.cast(alignments, state.dtype))

    def align(self, scores, mask):
        """Normalize scores [B, K, S] to alignments [B, K, S]."""
        return get_normalizer(self.normalizer)(scores, mask)

    def remember(self, history, alignments):
        """Return the history for the next step; here the sum of all alignments so far."""
        return history + alignments

    def state_spec(self, memory_shape):
        return keras.KerasTensor(memory_shape[:2], dtype=self._history_dtype)

    @property
    def _history_dtype(self):
        return keras.backend.result_type(self.compute_dtype, "float32")

    def get_config(self):
        return {**super().get_config(), "normalizer": self.normalizer}

"""Additive score with the history of the alignments."""

from keras import ops

from attnzoo.layers.scores.additive import AdditiveScore
from attnzoo.ops import additive_scores, linear


class HistoryScore(AdditiveScore):
    """Base of the additive scores with a term for the alignments before.

        scores[b, t, s] = v · tanh(W query[b, t] + key[b, s] + place(history)[b, t, s])

    A subclass makes a term of the history, one number for each place (`place`). The attention
    that uses it keeps the history: see `HistoryAttention`.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].
        history: float [B, T, S]. What each query knows of the alignments before it.

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If it is called without a history.
    """

    needs_history = True
    # The mechanism that keeps its history, for the error where another is used.
    attention = "HistoryAttention"
    placewise = False  # A place's history is not at hand where the place is compared alone.

    def place(self, history):
        """Return the term of the history [B, T, S] at each place, [B, T, S, U]."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `place(history)`.")

    def missing_history(self) -> str:
        """Return the rule for the error where no attention keeps the history."""
        return (
            f"`{type(self).__name__}` needs the alignments of the steps before, which "
            f"`{self.attention}` keeps for it: use that one."
        )

    def compare(self, query, key, history=None):
        if history is None:
            raise ValueError(self.missing_history() + " Received: history=None")
        # Each query has keys of its own: as one query each, of B * T examples.
        own = ops.expand_dims(key, 1) + self.place(history)  # [B, T, S, U]
        batch, steps, places, _ = ops.shape(own)
        own = ops.reshape(own, (-1, places, self.units))  # [B T, S, U]
        query = linear(query, self.read(self.query_kernel))
        query = ops.reshape(query, (-1, 1, self.units))  # [B T, 1, U]
        scores = additive_scores(query, own, self.read_vector())  # [B T, 1, S]
        return ops.reshape(scores, (batch, steps, places))

    def call(self, query, memory, history):  # type: ignore[override]  # It needs one more.
        return self.compare(query, self.project(memory), history)

    def compute_output_shape(self, query_shape, memory_shape, history_shape=None):
        return super().compute_output_shape(query_shape, memory_shape)

"""The base of the scores: QUERY x KEY -> SCORES."""

import keras
from keras import ops


class Score(keras.layers.Layer):
    """Base of the scores: how well a query matches a row of memory.

    A subclass says how memory becomes keys (`project`, once per source) and how a query is compared
    with keys (`compare`, at every decoding step). Scores are raw: the attention masks and
    normalizes them.

    Where scores[b, t, s] depends on query[b, t] and key[b, s] alone, a subclass may say so with
    `placewise = True`: then an attention that needs few places compares only those. A score that
    takes the alignments of the steps before says `needs_history = True`: see `HistoryScore`.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].

    Returns:
        float [B, T, S]. Scores before mask and normalization.

    Example:
        >>> class NegativeDistance(attnzoo.layers.Score):
        ...     def compare(self, query, key):
        ...         return -keras.ops.sum((query[:, :, None] - key[:, None]) ** 2, axis=-1)
        >>> attention = attnzoo.layers.SoftAttention(score=NegativeDistance())
    """

    placewise = False
    needs_history = False

    def build(self, query_shape, memory_shape):
        self.built = True

    def project(self, memory):
        """Make keys [B, S, Dk] of memory [B, S, Dm], once per source."""
        return memory

    def compare(self, query, key):
        """Compare query [B, T, Dq] with key [B, S, Dk]: scores [B, T, S]."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `compare(query, key)`.")

    def read(self, weight):
        """Return a weight in the compute dtype: `compare` runs outside of `call` too."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)

    def call(self, query, memory):
        return self.compare(query, self.project(memory))

    def compute_output_shape(self, query_shape, memory_shape):
        return (query_shape[0], query_shape[1], memory_shape[1])

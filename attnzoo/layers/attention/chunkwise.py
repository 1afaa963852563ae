"""Monotonic chunkwise attention: soft over a small window that ends at a monotonic place."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.attention.monotonic import MonotonicAttention
from attnzoo.layers.lookup import get_score
from attnzoo.layers.scores.base import Score
from attnzoo.ops import (
    chunkwise_alignments,
    gather_windows,
    masked_softmax,
    spread_windows,
    weighted_sum,
)
from attnzoo.ops.windows import gather_memories


@keras.saving.register_keras_serializable(package="attnzoo")
class ChunkwiseAttention(MonotonicAttention):
    """Monotonic chunkwise attention (MoChA) of Chiu & Raffel.

    A step stops at a place as in `MonotonicAttention`, then attends softly to the last `window`
    places up to there, with a score of their own.

        places[b, t]     = monotonic_alignments(choose[b, t], places[b, t - 1], mode)
        alignments[b, t] = chunkwise_alignments(places[b, t], chunk_score(query[b, t], memory[b]))
        context[b, t]    = sum over s of alignments[b, t, s] memory[b, s]

    With `inference_mode="hard"` that is a softmax over the window which ends at the chosen place:
    at most S + T comparisons for T steps to find the places, and `window` more a step.

    Differs from the paper: the same as in `MonotonicAttention`.

    Args:
        score: As in `MonotonicAttention`; says where to stop.
        window: Width of the window, in places. At least 1; 1 is `MonotonicAttention`.
        chunk_score: A `Score` or the name of one, as in `SoftAttention`; says where in the window
            to look. None for one like `score`, with weights of its own.
        **kwargs: As in `MonotonicAttention`.

    Call arguments and returns: as in `MonotonicAttention`.

    Raises:
        ValueError: If `window` < 1; as in `MonotonicAttention`.

    Example:
        >>> attention = attnzoo.layers.ChunkwiseAttention("additive", units=7, window=2)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5
        ((2, 3, 5), (2, 3, 11))

    References:
        [Chiu and Raffel, 2018](https://arxiv.org/abs/1712.05382), section 2, algorithm 1.
    """

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        window: int,
        chunk_score: Score | str | None = None,
        **kwargs,
    ):
        check_positive(window=window)
        super().__init__(score, **kwargs)
        self.window = window
        if chunk_score is None:
            config = {**self.score.get_config(), "name": "chunk_score"}
            self.chunk_score = type(self.score).from_config(config)
        elif isinstance(chunk_score, str):
            self.chunk_score = get_score(chunk_score, name="chunk_score", dtype=self.dtype_policy)
        else:
            self.chunk_score = get_score(chunk_score)

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)
        if not self.chunk_score.built:
            self.chunk_score.build(query_shape, memory_shape)

    def prepare(self, memory, memory_mask=None):
        chunk_key = self.chunk_score.project(memory)  # [B, S, Dk']
        return {**super().prepare(memory, memory_mask), "chunk_key": chunk_key}

    def spread(self, query, prepared, places):
        """Spread the weight of `places` [B, T, S] softly over the windows that end there."""
        scores = self.chunk_score.compare(query, prepared["chunk_key"])  # [B, T, S]
        return chunkwise_alignments(places, scores, self.window, prepared["mask"])

    @property
    def scans_places(self) -> bool:
        """Whether both scores can compare places one by one."""
        return self.score.placewise and self.chunk_score.placewise

    def attend_at(self, query, prepared, place, weights, state):
        """Attend softly to the windows that end at the places, gathered from the memory."""
        memory_length, mask = ops.shape(prepared["value"])[1], prepared["mask"]
        first = place - (self.window - 1)  # [B, K]
        numbers = first[:, :, None] + ops.arange(self.window, dtype="int32")  # [B, K, window]
        inside = ops.logical_and(numbers >= 0, weights > 0.0)
        if mask is not None:
            inside = ops.logical_and(inside, gather_windows(mask[:, 0], first, self.window))

        key, value = (
            gather_memories(prepared[name], first, self.window) for name in ("chunk_key", "value")
        )  # [B K, window, D]
        queries = ops.reshape(query, (-1, 1, query.shape[-1]))  # [B K, 1, Dq]
        scores = self.chunk_score.compare(queries, key)  # [B K, 1, window]
        weights = masked_softmax(scores, ops.reshape(inside, (-1, 1, self.window)))
        context = weighted_sum(weights, value)  # [B K, 1, Dv]
        context = ops.reshape(context, (*ops.shape(place), context.shape[-1]))
        weights = ops.reshape(weights, (*ops.shape(place), self.window))
        return context, spread_windows(weights, first, memory_length)

    def get_config(self):
        return {
            **super().get_config(),
            "window": self.window,
            "chunk_score": keras.saving.serialize_keras_object(self.chunk_score),
        }

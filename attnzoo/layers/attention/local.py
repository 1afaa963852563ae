"""Local attention: a window about one place of the memory."""

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive
from attnzoo.layers.attention.soft import SoftAttention
from attnzoo.layers.scores.base import Score
from attnzoo.ops import gather_windows, get_normalizer, linear, spread_windows, weighted_sum
from attnzoo.ops.sizes import known_size
from attnzoo.ops.windows import gather_memories

_MODES = ("predictive", "monotonic")
# Windows are gathered from a memory that is so many times longer than all of them together. From a
# shorter one a comparison with all of it is faster: one product for all queries (on CPUs).
_GATHER_PAST = 2
# Steps are counted in two digits: in bfloat16 one number would stop counting at 256.
_BASE = 128


@keras.saving.register_keras_serializable(package="attnzoo")
class LocalAttention(SoftAttention):
    """Local attention of Luong et al.: only places about a centre get weight.

        center[b, t]     = S_b sigmoid(v · tanh(W query[b, t]))     predictive (local-p)
                         = min(t, S_b - 1)                          monotonic (local-m)
        weights[b, t]    = softmax over s in window of score(query[b, t], memory[b, s])
                           where window = [center[b, t] - D, center[b, t] + D]
        alignments[b, t] = weights[b, t, s] exp(-(s - center[b, t])^2 / (2 (D / 2)^2))  predictive
                         = weights[b, t, s]                         monotonic

    S_b is the length of example b, without its padding. The predicted centre is a real number and
    is not rounded: the window holds the whole numbers that are at most D away from it, and through
    the bell curve the gradient reaches v and W. That curve is not normalized again, so that rows
    of the predictive mode sum to less than 1. Memory is padded at its end.

    One step costs what its window costs, whatever the length of the memory: where that is longer
    than two windows, keys and values are gathered from it. The numbers are the same. A score that
    is not `placewise` is compared with the whole memory all the same, and so are many queries at
    once, whose windows overlap.

    Differs from the paper: the centre of the monotonic mode stays on the last place once it is
    there, where the paper's runs on and out of the memory.

    Args:
        score: As in `SoftAttention`.
        window: D, how far the window reaches to each side, in places. At least 1.
        mode: `"predictive"` or `"monotonic"`.
        position_units: Width of the layer that predicts the centre, in features; None for the width
            of the query, as in the paper. For the predictive mode only.
        normalizer: As in `SoftAttention`.

    Call arguments and returns: as in `SoftAttention`.

    Raises:
        ValueError: If `window` or `position_units` < 1, the mode is unknown, or `position_units`
            come with the monotonic mode; for score and normalizer, as in `SoftAttention`.

    Example:
        >>> attention = attnzoo.layers.LocalAttention("bilinear", window=2)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5; at most 5 weights a row
        ((2, 3, 5), (2, 3, 11))

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.2, equations 9 and 10.
    """

    decoder_order = "after"

    def __init__(
        self,
        score: Score | str = "bilinear",
        *,
        window: int = 10,
        mode: str = "predictive",
        position_units: int | None = None,
        **kwargs,
    ):
        super().__init__(score, **kwargs)
        check_positive(window=window)
        check_choice(_MODES, mode=mode)
        if position_units is not None:
            check_positive(position_units=position_units)
            if mode == "monotonic":
                raise ValueError(
                    '`position_units` go with `mode="predictive"`: the monotonic mode predicts no '
                    f"place. Received: position_units={position_units}"
                )
        self.window = window
        self.mode = mode
        self.position_units = position_units

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)
        if self.mode == "predictive":
            units = self.position_units or query_shape[-1]
            self.position_kernel = self.add_weight(
                shape=(query_shape[-1], units), initializer="glorot_uniform", name="position_kernel"
            )
            # As a matrix [U, 1], Glorot's range would be that of one output: sqrt(6 / (U + 1)).
            limit = (6.0 / (units + 1)) ** 0.5
            self.position_vector = self.add_weight(
                shape=(units,),
                initializer=keras.initializers.RandomUniform(-limit, limit),
                name="position_vector",
            )
        self.built = True

    def prepare(self, memory, memory_mask=None):
        places = ops.arange(1, ops.shape(memory)[1] + 1, dtype=self.place_dtype)  # [S]
        real = ops.ones_like(memory[:, :, 0], dtype="bool") if memory_mask is None else memory_mask
        length = ops.max(ops.where(real, places, 0.0), axis=1)[:, None, None]  # [B, 1, 1]
        return {**super().prepare(memory, memory_mask), "length": length}

    def initial_state(self, prepared):
        if self.mode == "predictive":
            return ()
        return ops.zeros((ops.shape(prepared["length"])[0], 1, 2), dtype=self.compute_dtype)

    def state_spec(self, memory_shape):
        if self.mode == "predictive":
            return ()
        return keras.KerasTensor((memory_shape[0], 2), dtype=self.compute_dtype)

    # === The centre: [B, T, 1], in places ===

    def predict_center(self, query, length):
        """Return S sigmoid(v · tanh(W query))."""
        kernel, vector = self.position_kernel, self.position_vector
        hidden = ops.tanh(linear(query, ops.cast(kernel, self.compute_dtype)))  # [B, T, U]
        hidden = ops.cast(hidden, self.place_dtype) * ops.cast(vector, self.place_dtype)
        return length * ops.sigmoid(ops.sum(hidden, axis=-1, keepdims=True))

    def monotonic_center(self, steps, length):
        """Return min(t, S - 1)."""
        return ops.minimum(steps, length - 1.0)

    # === From a centre to the alignments ===

    def align(self, scores, places, center, mask):
        """Normalize scores [B, T, S] of `places` [S] or [B, T, S] about the centre [B, T, 1]."""
        distance = places - center  # [B, T, S]
        allowed = ops.abs(distance) <= self.window
        if mask is not None:
            allowed = ops.logical_and(allowed, mask)
        normalize = get_normalizer(self.normalizer)
        alignments = normalize(ops.cast(scores, self.place_dtype), allowed)
        if self.mode == "predictive":
            alignments = alignments * ops.exp(-2.0 * ops.square(distance / self.window))
        return ops.cast(alignments, self.compute_dtype)

    def attend_around(self, query, prepared, center):
        """Attend about the centre: context [B, T, Dv] and alignments [B, T, S]."""
        gathers = self.gathers(query.shape[1], prepared["value"].shape[1], prepared["mask"])
        return (self.attend_in_windows if gathers else self.attend_everywhere)(
            query, prepared, center
        )

    def gathers(self, query_length, memory_length, mask) -> bool:
        """Return whether to gather windows. A memory length not known may be large."""
        query_length, memory_length = known_size(query_length), known_size(memory_length)
        over_pairs = mask is not None and (len(mask.shape) == 2 or mask.shape[1] != 1)
        if query_length is None or over_pairs or not self.score.placewise:
            return False
        return memory_length is None or memory_length > _GATHER_PAST * query_length * self.width

    def attend_everywhere(self, query, prepared, center):
        """Compare with the whole memory, and mask what lies outside of the window."""
        scores = self.score.compare(query, prepared["key"])  # [B, T, S]
        places = ops.arange(ops.shape(scores)[-1], dtype=self.place_dtype)
        alignments = self.align(scores, places, center, prepared["mask"])
        return weighted_sum(alignments, prepared["value"]), alignments

    def attend_in_windows(self, query, prepared, center):
        """Compare with the window alone, gathered for each query."""
        batch, query_length, query_width = ops.shape(query)
        memory_length = ops.shape(prepared["value"])[1]
        first = ops.ceil(ops.stop_gradient(center[:, :, 0]) - self.window)
        first = ops.cast(first, "int32")  # [B, T]
        places = first[:, :, None] + ops.arange(self.width, dtype="int32")  # [B, T, W]
        mask = ops.logical_and(places >= 0, places < memory_length)
        if prepared["mask"] is not None:
            real = gather_windows(prepared["mask"][:, 0], first, self.width)
            mask = ops.logical_and(mask, real)

        # Each query has a memory of its own: T queries of B examples become one of B T.
        key, value = (
            gather_memories(prepared[name], first, self.width) for name in ("key", "value")
        )  # [B T, W, D]
        scores = self.score.compare(ops.reshape(query, (-1, 1, query_width)), key)  # [B T, 1, W]
        scores = ops.reshape(scores, (batch, query_length, self.width))
        places = ops.cast(places, self.place_dtype)
        alignments = self.align(scores, places, center, mask)  # [B, T, W]
        context = weighted_sum(ops.reshape(alignments, (-1, 1, self.width)), value)  # [B T, 1, Dv]
        context = ops.reshape(context, (batch, query_length, context.shape[-1]))
        return context, spread_windows(alignments, first, memory_length)

    # === Step by step ===

    def attend(self, query, prepared):
        length = prepared["length"]
        if self.mode == "predictive":
            return self.attend_around(query, prepared, self.predict_center(query, length))
        steps = ops.arange(ops.shape(query)[1], dtype=self.place_dtype)[None, :, None]  # [1, T, 1]
        return self.attend_around(query, prepared, self.monotonic_center(steps, length))

    def step(self, query, prepared, state):
        if self.mode == "predictive":
            return *self.attend(query, prepared), state
        digits = ops.cast(state, self.place_dtype)  # [B, K, 2]
        steps = digits[:, :, :1] + _BASE * digits[:, :, 1:]  # [B, K, 1]
        found = self.attend_around(
            query, prepared, self.monotonic_center(steps, prepared["length"])
        )
        more = ops.floor((steps + 1.0) / _BASE)
        state = ops.concatenate([steps + 1.0 - _BASE * more, more], axis=-1)
        return *found, ops.cast(state, self.compute_dtype)

    @property
    def width(self) -> int:
        """Number of places in one window, 2 D + 1."""
        return 2 * self.window + 1

    @property
    def place_dtype(self) -> str:
        """Dtype of places, which need more digits than half precision has."""
        return keras.backend.result_type(self.compute_dtype, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "window": self.window,
            "mode": self.mode,
            "position_units": self.position_units,
        }

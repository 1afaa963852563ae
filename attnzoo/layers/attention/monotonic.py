"""Monotonic attention: one place a step, at or after the one before."""

import math

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_choice
from attnzoo.layers.attention.base import Attention
from attnzoo.layers.attention.scored import ScoredAttention, pop_layer_arguments
from attnzoo.layers.loop import run_loop
from attnzoo.layers.scores.base import Score
from attnzoo.ops import (
    choose_probabilities,
    gather_windows,
    monotonic_alignments,
    spread_windows,
    weighted_sum,
)
from attnzoo.ops.monotonic import MODES, first_place
from attnzoo.ops.windows import gather_memories


@keras.saving.register_keras_serializable(package="attnzoo")
class MonotonicAttention(ScoredAttention):
    """Monotonic attention of Raffel et al.: it passes over the memory once.

    A step goes on from the place of the step before, looks at place after place, and stops at the
    first that it chooses. Training takes the expectation of that, `"hard"` decoding does it.

        choose[b, t, s]  = sigmoid(score(query[b, t], memory[b, s]) + score_bias + noise)
        alignments[b, t] = monotonic_alignments(choose[b, t], alignments[b, t - 1], mode)
        context[b, t]    = sum over s of alignments[b, t, s] memory[b, s]

    The first step starts at place 0. A step that chooses nothing up to the end has a context of
    zeros, and so have all after it; in expectation, a row sums to the probability of a choice.

    The noise, `sigmoid_noise` times a standard normal number, is there in training alone: to win
    against it scores must be far from 0, so that the expectation comes close to hard choices. A
    `score_bias_init` below 0 lets a long memory be crossed at the start of training.

    `"parallel"` and `"recursive"` are the same numbers by two ways of adding up: the former takes
    log2(S) rounds, the latter S. To train with an expectation and decode with hard choices, give
    `inference_mode="hard"`. Then a step of decoding compares place after place and goes no further
    than the one that it chooses: at most S + T comparisons for T steps, where the score is
    `placewise`, as the dot, bilinear and additive ones are. Any other score is compared whole.

    Differs from the paper: any score will do; the paper's own is `"additive"` with
    `normalize=True` (equation 16). After a step that chooses nothing, none of the next ones does,
    as in the expectation; algorithm 1 would look again from the last place that was chosen.

    Args:
        score: A `Score`, or the name of one, as in `SoftAttention`. A named score takes its own
            arguments beside it.
        mode: How alignments are computed: `"parallel"`, `"recursive"`, or `"hard"`, which cannot be
            trained.
        inference_mode: How they are computed outside of training; None for `mode`.
        sigmoid_noise: Standard deviation of the noise in training, in nats. At least 0.
        score_bias_init: Where the trained `score_bias` starts, in nats.
        seed: Seed of the noise, or None.

    Call arguments and returns: as in `Attention`; Dv = Dm. Rows of alignments sum to at most 1.

    Raises:
        ValueError: If a mode or the score is unknown, `sigmoid_noise` < 0, or arguments stand
            beside a score that has its own; in training, if `mode` is `"hard"`.

    Example:
        >>> attention = attnzoo.layers.MonotonicAttention(
        ...     "additive", units=7, sigmoid_noise=1.0, inference_mode="hard")
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5; alignments of 0 and 1
        ((2, 3, 5), (2, 3, 11))

    References:
        [Raffel et al., 2017](https://arxiv.org/abs/1704.00784), sections 2.2 to 2.5, algorithm 1.
    """

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        mode: str = "parallel",
        inference_mode: str | None = None,
        sigmoid_noise: float = 0.0,
        score_bias_init: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**pop_layer_arguments(kwargs))
        check_choice(MODES, mode=mode)
        if inference_mode is not None:
            check_choice(MODES, inference_mode=inference_mode)
        check_at_least(0, sigmoid_noise=sigmoid_noise)
        if not math.isfinite(score_bias_init):
            raise ValueError(
                f"`score_bias_init` must be finite. Received: score_bias_init={score_bias_init}"
            )
        self.score = self.make_score(score, kwargs)
        self.mode = mode
        self.inference_mode = inference_mode
        self.sigmoid_noise = sigmoid_noise
        self.score_bias_init = score_bias_init
        self.seed = seed
        self.noise_generator = keras.random.SeedGenerator(seed) if sigmoid_noise else None

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)
        self.score_bias = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.score_bias_init),
            name="score_bias",
        )

    @property
    def decoding_mode(self) -> str:
        """The mode outside of training."""
        return self.inference_mode or self.mode

    @property
    def stochastic(self) -> bool:  # type: ignore[override]  # A constant of the base.
        """Whether a step of training differs from one of decoding."""
        return bool(self.sigmoid_noise) or self.mode == "hard" or self.mode != self.decoding_mode

    mask_pairs = Attention.mask_pairs  # A state goes step by step.

    def initial_state(self, prepared):
        start = first_place(prepared["value"][:, None, :, 0])  # [B, 1, S]
        return ops.cast(start, self.compute_dtype)

    def state_spec(self, memory_shape):
        return keras.KerasTensor(memory_shape[:2], dtype=self.compute_dtype)

    # === The equations ===

    def choose(self, query, key, mask, noise=None):
        """Return the probability that each place is chosen once reached, float32 [B, T, S]."""
        scores = self.score.compare(query, key)
        dtype = keras.backend.result_type(scores.dtype, "float32")
        # As the other weights, in the compute dtype: `step` runs outside of `call`.
        bias = ops.cast(ops.convert_to_tensor(self.score_bias), self.compute_dtype)
        scores = ops.cast(scores, dtype) + ops.cast(bias, dtype)
        if noise is not None:
            scores = scores + self.sigmoid_noise * ops.cast(noise, dtype)
        return choose_probabilities(scores, mask)

    def spread(self, query, prepared, places):
        """Return the alignments of steps that stop at `places` [B, T, S]: here the same."""
        return places

    def expect(self, query, prepared, state, mode: str, noise=None):
        """Take one step in expectation over all places."""
        choose = self.choose(query, prepared["key"], prepared["mask"], noise)
        state = monotonic_alignments(choose, state, mode)
        alignments = self.spread(query, prepared, state)
        return weighted_sum(alignments, prepared["value"]), alignments, state

    def expect_all(self, query, prepared, mode: str, noise=None):
        """Take all T steps in expectation: scores at once, alignments one by one."""
        choose = self.choose(query, prepared["key"], prepared["mask"], noise)  # [B, T, S]

        def body(choose, previous):
            alignments = monotonic_alignments(choose, previous, mode)
            return alignments, alignments

        start = self.initial_state(prepared)[:, 0]
        places, _ = run_loop(body, choose, start, self.compute_dtype)
        alignments = self.spread(query, prepared, places)
        return weighted_sum(alignments, prepared["value"]), alignments

    # === Hard decoding, place by place ===

    @property
    def scans_places(self) -> bool:
        """Whether the score can compare places one by one."""
        return self.score.placewise

    def scan_places(self, query, prepared, previous):
        """Scan the memory from the place before to the first place that is chosen.

        Args:
            query: float [B, K, Dq].
            prepared: Result of `prepare`.
            previous: float [B, K, S]. One-hot, or zeros where nothing was chosen.

        Returns:
            int [B, K], the place where each stopped, and bool [B, K], whether that was chosen.
        """
        memory_length, mask = ops.shape(prepared["value"])[1], prepared["mask"]
        queries = ops.reshape(query, (-1, 1, query.shape[-1]))  # [B K, 1, Dq]
        end = memory_length  # After the last real place nothing can be chosen.
        if mask is not None:
            numbers = ops.arange(1, memory_length + 1, dtype="int32")
            end = ops.max(ops.where(mask, numbers, 0), axis=-1)  # [B, 1]

        def advance(place, going, chosen):
            here = ops.minimum(place, memory_length - 1)
            key = gather_memories(prepared["key"], here, 1)  # [B K, 1, Dk]
            choose = ops.reshape(self.choose(queries, key, None), ops.shape(place))
            stops = choose > 0.5
            if mask is not None:
                stops = ops.logical_and(stops, gather_windows(mask[:, 0], here, 1)[:, :, 0])
            chosen = ops.logical_or(chosen, ops.logical_and(going, stops))
            going = ops.logical_and(going, ops.logical_not(stops))
            place = place + ops.cast(going, "int32")
            return place, ops.logical_and(going, place < end), chosen

        was_there = previous > 0.5  # [B, K, S], at most one place a row
        places = ops.arange(memory_length, dtype="int32")
        place = ops.sum(ops.where(was_there, places, 0), axis=-1)  # [B, K]
        was_somewhere = ops.any(was_there, axis=-1)
        start = place, ops.logical_and(was_somewhere, place < end), ops.zeros_like(was_somewhere)
        place, _, chosen = ops.while_loop(lambda place, going, _: ops.any(going), advance, start)
        return place, chosen

    def attend_at(self, query, prepared, place, weights, state):
        """Return context [B, K, Dv] and alignments [B, K, S] of one place [B, K] a query."""
        return weights * gather_windows(prepared["value"], place, 1)[:, :, 0], state

    # === Step by step ===

    def step(self, query, prepared, state):
        if not (self.decoding_mode == "hard" and self.scans_places):
            return self.expect(query, prepared, state, self.decoding_mode)
        place, chosen = self.scan_places(query, prepared, state)
        weights = ops.cast(chosen, self.compute_dtype)[:, :, None]  # [B, K, 1], of 0 and 1
        state = spread_windows(weights, place, ops.shape(prepared["value"])[1])
        context, alignments = self.attend_at(query, prepared, place, weights, state)
        return context, alignments, state

    def attend(self, query, prepared):
        return self.expect_all(query, prepared, self.decoding_mode)

    def draw_noise(self, prepared, steps):
        if self.mode == "hard":
            raise ValueError(
                f'A `{type(self).__name__}` with `mode="hard"` cannot be trained: a hard choice '
                'has no gradient. Train with `mode="parallel"` and decode with '
                "`inference_mode=\"hard\"`. Received: mode='hard', training=True"
            )
        batch, memory_length = ops.shape(prepared["value"])[:2]
        if not self.sigmoid_noise:
            return ops.zeros((batch, steps, 1), dtype="float32")
        shape = (batch, steps, memory_length)
        return keras.random.normal(shape, dtype="float32", seed=self.noise_generator)

    def noisy_step(self, query, prepared, state, noise):
        return self.expect(query, prepared, state, self.mode, noise)

    def noisy_attend(self, query, prepared, noise):
        return self.expect_all(query, prepared, self.mode, noise)

    def get_config(self):
        return {
            **super().get_config(),
            "score": keras.saving.serialize_keras_object(self.score),
            "mode": self.mode,
            "inference_mode": self.inference_mode,
            "sigmoid_noise": self.sigmoid_noise,
            "score_bias_init": self.score_bias_init,
            "seed": self.seed,
        }

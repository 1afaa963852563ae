"""Hard attention: one place a step, drawn in training, the most probable one afterwards."""

import warnings

import keras
from keras import ops

from attnzoo.checks import check_above, check_at_least, check_choice, check_positive, check_rate
from attnzoo.layers.attention.draws import Draws, hand_in, is_collecting
from attnzoo.layers.attention.scored import ScoredAttention, narrow, pop_layer_arguments
from attnzoo.layers.base import constructor_arguments
from attnzoo.layers.ranges import Range
from attnzoo.ops import (
    hardmax,
    linear,
    masked_log_softmax,
    masked_softmax,
    weighted_sum,
)

ESTIMATORS = ("reinforce", "straight_through", "gumbel")
BASELINES = ("moving_average", "learned", None)
CREDITS = ("step", "example")
# The estimator that alone has a use for an argument.
_USERS = {
    "baseline": "reinforce",
    "baseline_decay": "reinforce",
    "entropy_weight": "reinforce",
    "credit": "reinforce",
    "temperature": "gumbel",
}
# Estimators that sum over what a model says, and not over contexts.
_CLASSES_OF_THEIR_OWN = {
    "exact": ("ExactHardAttention", "hard_exact"),
    "exact_monotonic": ("ExactMonotonicAttention", "exact_monotonic"),
}
_TINY = 1e-30


@keras.saving.register_keras_serializable(package="attnzoo")
class HardAttention(ScoredAttention):
    """Hard attention: the context is the value of one place.

        p[b, t]       = softmax over s of score(query[b, t], memory[b, s])
        place[b, t]   ~ p[b, t] in training;  argmax of p[b, t] otherwise
        context[b, t] = memory[b, place[b, t]]

    A draw has no gradient, so the scores learn from an estimate of it.

    `"reinforce"` charges log p of each draw with the loss that came of it (Xu et al., section 4.1):

        gradient of    log p[b, t, place[b, t]] * (loss[b, t:] - baseline[b, t])

    where the bracket is a number, and loss[b, t:] is what comes at and after t: a draw cannot
    change what came before it. The estimate is unbiased. The loss is known to the model alone, so
    the model must be a `attnzoo.models.ReinforceModel` or `RNNSeq2SeqLM`; in any other the scores
    do not learn, and a warning says so.

    `"straight_through"` draws too, and passes on the gradient as if the context were the soft one.
    `"gumbel"` takes a context between hard and soft, softmax((scores + noise) / temperature) with
    noise of the Gumbel distribution, and its gradient (Jang et al.). Both are biased, and train
    anywhere under plain `fit`.

    Differs from the paper of Xu et al.: the credit goes by step, the loss may be any, and the
    entropy's gradient is that of each step's own entropy alone.

    Args:
        score: A `Score`, or the name of one, as in `SoftAttention`. A named score takes its own
            arguments beside it.
        estimator: `"reinforce"`, `"straight_through"` or `"gumbel"`.
        num_samples: How many places a step draws in training; the context is the mean of their
            values. At least 1.
        baseline: For "reinforce": `"moving_average"` of the loss; `"learned"`, a linear function of
            the query, trained beside the model; or None. It changes the variance alone.
        baseline_decay: Share of the moving average that a batch leaves as it is. In [0, 1).
        entropy_weight: For "reinforce": weight of the entropy of p, which is added to what is
            maximized. At least 0.
        credit: For "reinforce": `"step"`, as above, or `"example"`, which charges a draw with the
            loss of the whole example. That is always right. "step" is for a decoder, whose output t
            depends on no later draw; it holds in an `AttentionRNN` where the loss has as many
            steps as the queries, and "example" takes its place elsewhere. Give "example" where
            a later layer mixes the steps: a bidirectional one, or a pooling whose result is
            repeated to as many steps again.
        soft_mixing: Probability that an example gets the soft context in a pass of training, with
            its gradient, in place of draws. In [0, 1). Xu et al. take 0.5.
        temperature: For "gumbel": where the variable `temperature` starts; above 0, and finite. A
            `attnzoo.training.VariableSchedule` can anneal it.
        seed: Seed of the draws, or None.

    Call arguments and returns: as in `Attention`; Dv = Dm. In training a row of alignments holds
        the share of each place in the draws.

    Raises:
        ValueError: If score, estimator, baseline or credit is unknown, a number is outside its
            range, `entropy_weight` comes with another estimator than "reinforce" or `temperature`
            with another than "gumbel", or arguments stand beside a score that has its own.

    Example:
        >>> attention = attnzoo.layers.HardAttention("additive", units=7)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5; alignments of 0 and 1
        ((2, 3, 5), (2, 3, 11))

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), section 4.1.
        [Williams, 1992](https://doi.org/10.1007/BF00992696) (REINFORCE).
        [Bengio et al., 2013](https://arxiv.org/abs/1308.3432) (straight-through).
        [Jang et al., 2017](https://arxiv.org/abs/1611.01144) (Gumbel-softmax).
    """

    stochastic = True

    def __init__(
        self,
        score="additive",
        *,
        estimator: str = "reinforce",
        num_samples: int = 1,
        baseline: str | None = "moving_average",
        baseline_decay: float = 0.9,
        entropy_weight: float = 0.0,
        credit: str = "step",
        soft_mixing: float = 0.0,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**pop_layer_arguments(kwargs))
        if estimator in _CLASSES_OF_THEIR_OWN:
            cls, name = _CLASSES_OF_THEIR_OWN[estimator]
            raise ValueError(
                "What sums over all places, and over what a model says at each, is a class of its "
                f'own: use `{cls}`, in a model `attention="{name}"`. '
                f"Received: estimator={estimator!r}"
            )
        check_choice(ESTIMATORS, estimator=estimator)
        check_choice(BASELINES, baseline=baseline)
        check_choice(CREDITS, credit=credit)
        check_positive(num_samples=num_samples)
        check_rate(baseline_decay=baseline_decay, soft_mixing=soft_mixing)
        check_at_least(0, entropy_weight=entropy_weight)
        check_above(0, finite=True, temperature=temperature)
        _check_use(
            estimator,
            baseline=baseline,
            baseline_decay=baseline_decay,
            entropy_weight=entropy_weight,
            credit=credit,
            temperature=temperature,
        )
        self.score = self.make_score(score, kwargs)
        self.estimator = estimator
        self.num_samples = num_samples
        self.baseline = baseline
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self.credit = credit
        self.soft_mixing = soft_mixing
        self.first_temperature = temperature
        self.seed = seed
        self.noise_generator = keras.random.SeedGenerator(seed)
        self._temperature = None
        self._warned = False

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)

        def add(name, shape=(), value=0.0, trainable=False):
            return self.add_weight(
                shape=shape,
                initializer=keras.initializers.Constant(value),
                trainable=trainable,
                dtype="float32",
                autocast=False,  # Losses and temperatures keep their precision.
                name=name,
            )

        if self.estimator == "gumbel":
            self._temperature = add("temperature", value=self.first_temperature)
            self._temperature.constraint = Range("above 0", lambda value: value > 0.0)
        if self.estimator == "reinforce" and self.baseline == "moving_average":
            self.average_loss = add("average_loss")
        if self.estimator == "reinforce" and self.baseline == "learned":
            self.baseline_kernel = add("baseline_kernel", (query_shape[-1], 1), trainable=True)
            self.baseline_bias = add("baseline_bias", (1,), trainable=True)

    @property
    def temperature(self) -> keras.Variable:
        """The variable that the scores and their noise are divided by, above 0."""
        if self._temperature is None:
            raise ValueError(
                'The variable `temperature` is there with `estimator="gumbel"`, once the layer is '
                f"built. Received: estimator={self.estimator!r}, built={self.built}"
            )
        return self._temperature

    def mask_pairs(self, prepared, attention_mask):
        return narrow(prepared, attention_mask)

    # === Inference: the most probable place ===

    def attend(self, query, prepared):
        alignments = hardmax(self.scores(query, prepared), prepared["mask"])
        return self.gather(alignments, prepared["value"])

    def step(self, query, prepared, state):
        return *self.attend(query, prepared), state

    def scores(self, query, prepared):
        """Scores [B, T, S], float32."""
        scores = self.score.compare(query, prepared["key"])
        return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))

    def gather(self, alignments, value):
        """The values [B, S, Dm] at the places of the alignments, and these in their dtype."""
        alignments = ops.cast(alignments, self.compute_dtype)
        return weighted_sum(alignments, value), alignments

    # === Training: draws ===

    def draw_noise(self, prepared, steps):
        """Gumbel noise for each sample and place [B, T, n S]; before it, 1 for a soft context."""
        if self.estimator == "reinforce" and not (is_collecting() or self._warned):
            self._warned = True
            warnings.warn(
                "The scores of this `HardAttention` do not learn here: nobody charges its draws "
                "with a loss. Make the model an `attnzoo.models.ReinforceModel`, put "
                "`attnzoo.models.ReinforceMixin` before `keras.Model` in its bases, or use "
                '`estimator="gumbel"` or `"straight_through"`.',
                stacklevel=2,
            )
        batch, places = ops.shape(prepared["value"])[:2]

        def uniform(shape):
            return keras.random.uniform(shape, _TINY, dtype="float32", seed=self.noise_generator)

        waits = -ops.log(uniform((batch, steps, self.num_samples * places)))
        noise = -ops.log(ops.maximum(waits, _TINY))
        if self.soft_mixing:
            soft = ops.cast(uniform((batch, 1, 1)) < self.soft_mixing, "float32")
            soft = ops.broadcast_to(soft, (batch, steps, 1))
            noise = ops.concatenate([soft, noise], axis=-1)
        return noise

    def explore(self, query, prepared, state, noise):
        scores, mask = self.scores(query, prepared), prepared["mask"]
        if self.soft_mixing:
            goes_soft, noise = noise[:, :, :1] > 0.5, noise[:, :, 1:]
        if self.soft_mixing or self.estimator == "straight_through":
            soft = masked_softmax(scores, mask)
        # The place with the highest sum of score and Gumbel noise is a draw from the softmax.
        batch, steps, places = ops.shape(scores)
        noise = ops.reshape(noise, (batch, steps, self.num_samples, places))
        perturbed = scores[:, :, None] + ops.cast(noise, scores.dtype)  # [B, T, n, S]
        mask = None if mask is None else ops.expand_dims(mask, -2)
        if self.estimator == "gumbel":
            temperature = ops.cast(ops.convert_to_tensor(self.temperature), scores.dtype)
            drawn = masked_softmax(perturbed / temperature, mask)
        else:
            drawn = hardmax(perturbed, mask)
        alignments = ops.mean(drawn, axis=2)  # [B, T, S]
        if self.estimator == "straight_through":
            alignments = alignments + (soft - ops.stop_gradient(soft))
        if self.soft_mixing:
            alignments = ops.where(goes_soft, soft, alignments)
        return *self.gather(alignments, prepared["value"]), state

    def explore_all(self, query, prepared, noise):
        context, alignments, _ = self.explore(query, prepared, (), noise)
        return context, alignments

    # === Training: what the draws are charged with ===

    @property
    def looks_back(self):
        return self.estimator == "reinforce" and is_collecting()

    def after_training(self, steps):
        """Hand in log p of all draws. All scores at once, so that the loop needs no gradient."""
        scores = self.scores(steps.query, steps.prepared)
        log_alignments = masked_log_softmax(scores, steps.prepared["mask"])  # [B, T, S]
        share = ops.stop_gradient(ops.cast(steps.alignments, scores.dtype))
        counts = ops.round(self.num_samples * share)
        log_probs = ops.sum(counts * log_alignments, axis=-1)  # [B, T]
        entropy = -ops.sum(ops.exp(log_alignments) * log_alignments, axis=-1)
        real = drawn = ops.ones_like(log_probs)
        if steps.query_mask is not None:
            real = drawn = ops.cast(steps.query_mask, real.dtype)
        if self.soft_mixing:
            drawn = real * (1.0 - ops.cast(steps.noise[:, :, 0], real.dtype))
        hand_in(
            Draws(
                layer=self,
                log_probs=log_probs * drawn,
                entropy=entropy * real,
                baseline=self.expected_loss(steps.query),
                drawn=drawn,
                real=real,
                causal=steps.causal,
            )
        )

    def expected_loss(self, query):
        """What the baseline expects the loss to be from each step on, float32 [B, T]."""
        query = ops.stop_gradient(ops.cast(query, "float32"))
        if self.baseline == "learned":
            kernel, bias = map(ops.convert_to_tensor, (self.baseline_kernel, self.baseline_bias))
            return (linear(query, kernel) + bias)[:, :, 0]
        expected = ops.zeros_like(query[:, :, 0])
        if self.baseline == "moving_average":
            expected = expected + ops.convert_to_tensor(self.average_loss)
        return expected

    def update_baseline(self, loss):
        """Take the mean loss of a batch, a scalar, into the moving average, if there is one."""
        if self.baseline == "moving_average":
            average = ops.convert_to_tensor(self.average_loss)
            moved = self.baseline_decay * average + (1.0 - self.baseline_decay) * loss
            self.average_loss.assign(ops.where(ops.isfinite(moved), moved, average))

    def get_config(self):
        return {
            **super().get_config(),
            "score": keras.saving.serialize_keras_object(self.score),
            "estimator": self.estimator,
            "num_samples": self.num_samples,
            "baseline": self.baseline,
            "baseline_decay": self.baseline_decay,
            "entropy_weight": self.entropy_weight,
            "credit": self.credit,
            "soft_mixing": self.soft_mixing,
            "temperature": self.first_temperature,
            "seed": self.seed,
        }


def _check_use(estimator, **arguments):
    """Raise where an argument that another estimator uses is not the usual one."""
    usual = constructor_arguments(HardAttention)
    for name, value in arguments.items():
        if value != usual[name].default and estimator != _USERS[name]:
            raise ValueError(
                f'`{name}` goes with `estimator="{_USERS[name]}"`. '
                f"Received: {name}={value!r}, estimator={estimator!r}"
            )

"""Hard attention: one place a step, drawn in training, the most probable one afterwards."""

import functools

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive, check_rate
from attnzoo.layers.attention.scored import ScoredAttention, pop_layer_arguments
from attnzoo.layers.base import constructor_arguments
from attnzoo.layers.scores.base import Score
from attnzoo.ops import hardmax, masked_softmax, weighted_sum

_TINY = 1e-30


@keras.saving.register_keras_serializable(package="attnzoo")
class HardAttention(ScoredAttention):
    """Hard attention: the context is the value of one place.

        p[b, t]       = softmax over s of score(query[b, t], memory[b, s])
        place[b, t]   ~ p[b, t] in training;  argmax of p[b, t] otherwise
        context[b, t] = memory[b, place[b, t]]

    A draw has no gradient, so the scores learn from an estimate of it. Each estimator is a class:

    - `"reinforce"`, `ReinforceAttention`: unbiased; it needs a model that hands the loss back;
    - `"straight_through"`, `StraightThroughAttention`: biased; it trains anywhere;
    - `"gumbel"`, `GumbelSoftmaxAttention`: biased; it trains anywhere.

    `HardAttention(estimator=...)` makes one of them, which files know as `HardAttention`. The exact
    alternatives, which sum over all places, are `ExactHardAttention` and `ExactMonotonicAttention`.

    To write another estimator, subclass it, name it in `estimator`, and give `draw`.

    Args:
        score: A `Score`, or the name of one, as in `SoftAttention`. A named score takes its own
            arguments beside it.
        estimator: `"reinforce"` if not given, `"straight_through"` or `"gumbel"`. A class that has
            an estimator takes no other.
        num_samples: How many places a step draws in training; the context is the mean of their
            values. At least 1.
        soft_mixing: Probability that an example gets the soft context in a pass of training, with
            its gradient, in place of draws. In [0, 1). Xu et al. take 0.5.
        seed: Seed of the draws, or None.
        **kwargs: Arguments of the estimator's class.

    Call arguments and returns: as in `Attention`; Dv = Dm. In training a row of alignments holds
        the share of each place in the draws.

    Raises:
        ValueError: If score or estimator is unknown, a number is outside its range, or arguments
            stand beside a score that has its own.

    Example:
        >>> attention = attnzoo.layers.HardAttention("additive", units=7, estimator="gumbel")
        >>> isinstance(attention, attnzoo.layers.GumbelSoftmaxAttention)
        True
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5; alignments of 0 and 1
        ((2, 3, 5), (2, 3, 11))

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), section 4.1.
    """

    stochastic = True
    estimator: str | None = None

    def __new__(cls, *args, estimator: str = "reinforce", **kwargs):
        if cls is HardAttention:
            cls = _as_hard_attention(_estimator_class(estimator))
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        estimator: str | None = None,
        num_samples: int = 1,
        soft_mixing: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**pop_layer_arguments(kwargs))
        if estimator is not None:
            check_choice([self.estimator], estimator=estimator)
        check_positive(num_samples=num_samples)
        check_rate(soft_mixing=soft_mixing)
        self.score = self.make_score(score, kwargs)
        self.num_samples = num_samples
        self.soft_mixing = soft_mixing
        self.seed = seed
        self.noise_generator = keras.random.SeedGenerator(seed)

    def add_variable(
        self, name: str, value: float = 0.0, shape: tuple = (), trainable: bool = False
    ):
        """Add a variable that keeps its precision, as losses and temperatures must."""
        return self.add_weight(
            shape=shape,
            initializer=keras.initializers.Constant(value),
            trainable=trainable,
            dtype="float32",
            autocast=False,
            name=name,
        )

    # === Inference: the most probable place ===

    def attend(self, query, prepared):
        alignments = hardmax(self.scores(query, prepared), prepared["mask"])
        return self.gather(alignments, prepared["value"])

    def scores(self, query, prepared):
        """Compute scores [B, T, S], float32."""
        scores = self.score.compare(query, prepared["key"])
        return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))

    def gather(self, alignments, value):
        """Return the context of values [B, S, Dm], and the alignments in the compute dtype."""
        alignments = ops.cast(alignments, self.compute_dtype)
        return weighted_sum(alignments, value), alignments

    # === Training: draws ===

    def draw_noise(self, prepared, steps):
        """Draw Gumbel noise for each sample and place [B, T, n S]; before it, 1 for a soft context.

        The place with the highest sum of score and Gumbel noise is a draw from the softmax.
        """
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

    def draw(self, scores, noise, mask):
        """Draw places.

        Args:
            scores: float32 [B, T, S].
            noise: float32 [B, T, n, S]. Gumbel noise.
            mask: bool, broadcastable to [B, T, S], or None.

        Returns:
            The share of each place in the n draws, float32 [B, T, S].
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `draw`.")

    def draw_hard(self, scores, noise, mask):
        """Draw places as in `draw`, with no gradient."""
        mask = None if mask is None else ops.expand_dims(mask, -2)
        return ops.mean(hardmax(scores[:, :, None] + noise, mask), axis=2)

    def noisy_step(self, query, prepared, state, noise):
        scores, mask = self.scores(query, prepared), prepared["mask"]
        if self.soft_mixing:
            goes_soft, noise = noise[:, :, :1] > 0.5, noise[:, :, 1:]
        batch, steps, places = ops.shape(scores)
        noise = ops.reshape(noise, (batch, steps, self.num_samples, places))
        alignments = self.draw(scores, ops.cast(noise, scores.dtype), mask)
        if self.soft_mixing:
            alignments = ops.where(goes_soft, masked_softmax(scores, mask), alignments)
        return *self.gather(alignments, prepared["value"]), state

    def noisy_attend(self, query, prepared, noise):
        context, alignments, _ = self.noisy_step(query, prepared, (), noise)
        return context, alignments

    def get_config(self):
        return {
            **super().get_config(),
            "score": keras.saving.serialize_keras_object(self.score),
            "num_samples": self.num_samples,
            "soft_mixing": self.soft_mixing,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict):
        """Make the layer of a config, also of one that names its estimator."""
        if cls is not HardAttention:
            return super().from_config(config)
        config = dict(config)
        chosen = _estimator_class(config.pop("estimator", "reinforce"))
        # A config from before each estimator had a class holds the arguments of all.
        known = {name for one in cls.__subclasses__() for name in constructor_arguments(one)}
        unused = known - {*constructor_arguments(chosen)}
        config = {name: value for name, value in config.items() if name not in unused}
        return _as_hard_attention(chosen).from_config(config)


@functools.cache
def _as_hard_attention(cls):
    """Return the class of an estimator under the name of `HardAttention`.

    Keras finds the weights in a file by the name of a layer's class. So files from before each
    estimator had a class load, into models that are made as they were then, too.
    """

    def get_config(self):
        return {**cls.get_config(self), "estimator": self.estimator}

    own = {"__doc__": cls.__doc__, "__module__": __name__, "get_config": get_config}
    renamed = type(HardAttention.__name__, (cls,), own)
    register = keras.saving.register_keras_serializable(package="attnzoo")
    register(renamed)
    register(HardAttention)  # Again: this is the one that reads configs.
    return renamed


def _estimator_class(estimator: str):
    classes = {one.estimator: one for one in HardAttention.__subclasses__() if one.estimator}
    if estimator not in classes:
        raise ValueError(
            f"`estimator` must be one of {sorted(classes)}; sums over all places are "
            '`ExactHardAttention` (`attention="hard_exact"` of a model) and '
            '`ExactMonotonicAttention` (`"exact_monotonic"`). '
            f"Received: estimator={estimator!r}"
        )
    return classes[estimator]

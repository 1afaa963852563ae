"""Scheduled sampling: in training, some input tokens are drawn from the model."""

import keras
from keras import ops

from attnzoo.layers.ranges import Range


class ScheduledSampling:
    """Replaces some of the decoder's input tokens in training with draws from the model.

        x[t] = a draw from p(. | x[0], ..., x[t-1], source)    with probability eps
             = y[t], the true token                            otherwise

    for t >= 1, with an independent coin for each example and step; x[0] is always the start token,
    and padding does not change. The labels are always the true tokens.

    No gradient flows through a draw, so drawing and training are separate passes. First a pass
    without gradient decodes the target step by step, and makes x; then the ordinary teacher-forced
    pass trains on x. The gradient is exactly that of the paper's single pass, for any attention and
    output layer, at the cost of one more run of decoding.

    An exact monotonic attention also infers the alignments of earlier steps from x, including its
    drawn tokens, as in decoding.

    Differs from the paper: the pass that draws runs the model as in decoding, without dropout and
    without the noise of a stochastic attention; the pass that trains draws its own masks and noise.
    Of the paper's two forms this is the one that draws; the other takes the most probable token.

    Args:
        probability: eps, the probability that a token is drawn. In [0, 1].

    Raises:
        ValueError: If `probability` is outside its range.

    Example:
        >>> task.compile(sampling_probability=0.25)  # makes one
        >>> task.sampling_probability.assign(0.5)    # its `probability`

    References:
        [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), section 2.4.
    """

    def __init__(self, probability: float):
        # A variable, so that compiled training steps see its changes; not a weight of the model,
        # which does not need it after training.
        self.probability = keras.Variable(
            check_probability(probability),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="sampling_probability",
        )
        self.probability.constraint = Range("in [0, 1]", lambda value: 0.0 <= value <= 1.0)
        self.seed_generator = keras.random.SeedGenerator()

    @property
    def variables(self) -> list:
        """Return the state that a training step reads and writes."""
        return [self.probability, self.seed_generator.state]

    def draw_coins(self, shape):
        """Draw a coin and a number for each token: bool [B, T], and float32 [B, T] in [0, 1)."""
        coins, uniforms = (
            keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) for _ in "ab"
        )
        return coins < ops.convert_to_tensor(self.probability), uniforms

    def mix(self, task, inputs: dict) -> dict:
        """Return the inputs of a training pass, with some of the target's tokens drawn from the
        model.

        Args:
            task: A `Seq2SeqTask`. Its `make_next` gives the distributions to draw from.
            inputs: The inputs of the task.

        Returns:
            dict, `inputs` with new `decoder_token_ids` int [B, T].
        """
        inputs = {name: ops.convert_to_tensor(inputs[name]) for name in task.input}
        coins, uniforms = self.draw_coins(ops.shape(inputs["decoder_token_ids"]))

        def draw(inputs):
            variables = [*task.trainable_variables, *task.non_trainable_variables]
            constants = [(one, ops.stop_gradient(one.value)) for one in variables]
            with keras.StatelessScope(constants):
                next, cache = task.make_next(inputs, False)
                return draw_ids(next, cache, inputs, coins, uniforms)

        return {**inputs, "decoder_token_ids": _Inference(draw, dtype=task.dtype_policy)(inputs)}


def draw_ids(next, cache, inputs: dict, coins, uniforms):
    """Decode the target step by step, and replace tokens with draws as the coins decide.

    Args:
        next: Function of (prompt int [B, T], cache, index) to the logits of position `index`, float
            [B, V], an ignored value, and the next cache.
        cache: Pytree of tensors, before the first step.
        inputs: dict of `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T].
        coins: bool [B, T]. True = this token is drawn, unless it is the first or padding.
        uniforms: float32 [B, T]. Uniform in [0, 1): the draw is the first token whose cumulative
            probability is above it.

    Returns:
        int [B, T]. The decoder's input tokens.
    """
    ids = inputs["decoder_token_ids"]
    length = ops.shape(ids)[1]
    places = ops.arange(length, dtype="int32")[None, :]  # [1, T]
    drawn_places = ops.logical_and(coins, ops.cast(inputs["decoder_padding_mask"], "bool"))

    def body(index, carried):
        ids, cache = carried
        logits, _, cache = next(ids, cache, index)
        token = _sample(logits, ops.take(uniforms, index, axis=1))  # [B]
        here = ops.logical_and(drawn_places, places == index)  # [B, T]
        return ops.where(here, ops.cast(token, ids.dtype)[:, None], ids), cache

    return ops.fori_loop(1, length, body, (ids, cache))[0]


def check_probability(probability: float) -> float:
    """Return the sampling probability; raise unless it is in [0, 1]."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(
            "`sampling_probability` must be in [0, 1], or None for no sampling. "
            f"Received: sampling_probability={probability}"
        )
    return float(probability)


def _sample(logits, uniforms):
    """Return one token for each row of logits [B, V]: int32 [B]."""
    cumulative = ops.cumsum(ops.softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)
    below = cumulative <= uniforms[:, None] * cumulative[:, -1:]
    return ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), ops.shape(logits)[-1] - 1)


class _Inference(keras.layers.Layer):
    """Runs a function in inference mode, within a training pass."""

    def __init__(self, function, **kwargs):
        super().__init__(autocast=False, name="inference", **kwargs)
        self.function = function

    def __call__(self, inputs):
        return super().__call__(inputs, training=False)

    def call(self, inputs, training=False):
        return self.function(inputs)

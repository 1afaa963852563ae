"""REINFORCE for hard attention: each draw is trained with the loss that resulted from it."""

import warnings
from typing import TYPE_CHECKING

import keras
from keras import ops, tree

from attnzoo.layers.attention.draws import Draws, collect_draws, is_collecting

if TYPE_CHECKING:
    from keras import Model
else:
    Model = object  # `keras.Model` follows in the bases of each model.

constant = ops.stop_gradient  # The loss and the baseline of a draw are constants.


class ReinforceMixin(Model):
    """Trains a `HardAttention` with `estimator="reinforce"` under plain `fit`.

    Put it before `keras.Model` in the bases of a model with its own `call`. For a functional model
    use `ReinforceModel`, which documents the method.

    Example:
        >>> class Reader(attnzoo.models.ReinforceMixin, keras.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.attention = attnzoo.layers.HardAttention("bilinear")
        ...     def call(self, inputs, training=False):
        ...         query, memory = inputs
        ...         return self.attention(query, memory, training=training)
    """

    def compile(self, *args, **kwargs):
        """As `keras.Model.compile`."""
        weights = kwargs.get("loss_weights", args[2] if len(args) > 2 else None)
        self._weighs_losses = weights is not None
        return super().compile(*args, **kwargs)

    def compile_from_config(self, config):
        """Compile with the arguments from `get_compile_config`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    # Keras calls a model in one of these two ways.

    def __call__(self, *args, **kwargs):
        if is_part(self):
            return super().__call__(*args, **kwargs)  # Attentions warn about draws without a loss.
        return call_and_collect(self, super().__call__, *args, **kwargs)

    def stateless_call(self, *args, **kwargs):
        return call_and_collect(self, super().stateless_call, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the compiled loss. In training its gradient includes that of the draws."""
        return charged_loss(self, super().compute_loss, x, y, y_pred, sample_weight, training)


@keras.saving.register_keras_serializable(package="attnzoo")
class ReinforceModel(ReinforceMixin, keras.Model):
    """A functional model that trains the `HardAttention` inside it under plain `fit`.

    The gradient of the expected loss has two parts: the gradient of the loss for the drawn places,
    and for each draw the

        gradient of    log p[draw] * (resulting loss - baseline)  -  entropy_weight * entropy

    This model adds the second part for every `HardAttention(estimator="reinforce")` in it, at any
    depth; the other estimators do not need it. It is reduced like the compiled loss, with the same
    weights and masks. The reported loss is the compiled one; evaluation draws nothing.

    A loss that a layer adds with `add_loss` is in the total, but not in the loss of any draw.

    Args:
        inputs, outputs: As in `keras.Model`. One output.

    Call arguments and returns: the inputs and outputs.

    Raises:
        ValueError: In training, if there are several outputs or losses, or `loss_weights`.

    Example:
        >>> query, memory = keras.Input((None, 5)), keras.Input((None, 7))
        >>> attention = attnzoo.layers.HardAttention("additive", units=11, baseline="learned")
        >>> outputs = keras.layers.Dense(3)(attention(query, memory))
        >>> model = attnzoo.models.ReinforceModel([query, memory], outputs)
        >>> model.compile("adam", "mse")
        >>> model.fit([queries, memories], targets)  # [B, T, 5], [B, S, 7], [B, T, 3]

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), section 4.1.
        [Williams, 1992](https://doi.org/10.1007/BF00992696).
    """


def is_part(model) -> bool:
    """Return whether another model calls this one; only the outermost model trains the draws."""
    if is_collecting():
        return False
    if keras.backend.backend() == "jax":  # On JAX, training calls a model statelessly.
        return True
    return model._get_call_context().entry_layer is not model


def call_and_collect(model, call, *args, **kwargs):
    """Call a model, and keep the draws of its attentions for `charged_loss`."""
    with collect_draws() as draws:
        outputs = call(*args, **kwargs)
    _keep(model, draws)
    return outputs


def charged_loss(model, compute_loss, x, y, y_pred, sample_weight, training):
    """Compute a model's loss, and add the gradient of the draws of its last pass.

    Args:
        model: The model. `_weighs_losses` is True if it was compiled with `loss_weights`.
        compute_loss: The model's own function of the other arguments to the compiled loss.

    Returns:
        The compiled loss. In training its gradient includes that of the draws.
    """
    draws = getattr(model, "_draws", ())
    _keep(model, ())
    single = _single_loss(model, y, y_pred) if training and draws else None
    loss = compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
    if single is None:
        return loss

    def reduce(values):
        given = _Loss(lambda *_: values, single.reduction, single.dtype)
        return given(y, y_pred, sample_weight)

    unreduced = _Loss(single.call, None, single.dtype)
    losses = unreduced(y, constant(y_pred))
    charged = reduce(sum(surrogate(losses, one) for one in draws))
    average = reduce(losses) / ops.maximum(reduce(ops.ones_like(losses)), 1e-7)
    for one in draws:
        one.layer.update_baseline(average)
    # This term has a gradient and the value 0, so the reported number is the loss.
    return loss + ops.cast(charged - ops.stop_gradient(charged), loss.dtype)


def _keep(model, draws):
    if draws and getattr(model, "_draws", ()):
        warnings.warn(
            "The draws of `HardAttention` in the previous pass had no loss, so its "
            "scores learn nothing from them: train with `fit` or `train_on_batch`, or let your "
            "own loop call `compute_loss` after each pass in training.",
            stacklevel=4,
        )
    # Kept only until `compute_loss`, and hidden from Keras's tracking of layers and weights.
    object.__setattr__(model, "_draws", draws)


def _single_loss(model, y, y_pred):
    """Return the compiled loss as a `keras.losses.Loss`."""
    names = "`loss_weights`" if getattr(model, "_weighs_losses", False) else None
    names = "several outputs" if tree.is_nested(y_pred) or tree.is_nested(y) else names
    loss = getattr(model, "loss", None)
    names = "no loss" if loss is None else names
    names = "losses in a list or dict" if tree.is_nested(loss) else names
    if names is not None:
        raise ValueError(
            '`HardAttention` with `estimator="reinforce"` needs a model with one output, one '
            "loss and no `loss_weights`: it is that loss which the draws are charged with. "
            f"Received: {names}"
        )
    loss = keras.losses.get(loss)
    return loss if isinstance(loss, keras.losses.Loss) else _Loss(_with_equal_ranks(loss))


def surrogate(losses, draws: Draws):
    """Return a number for each loss whose gradient is that of the draws of one attention.

        values[b, t'] = sum over t <= t' of log p[b, t] * (loss[b, t'] - baseline[b, t])

    Summed over t' with any weights, each draw is multiplied with the weighted loss at and after its
    step. If the credit is by example, the sum over t is over all steps. The squared error of a
    learned baseline is added, and the entropy is subtracted.

    Args:
        losses: float [B, ...] or scalar. The loss before it is reduced; constant.
        draws: The draws of T steps.

    Returns:
        float, shape of `losses`, to be reduced like them.
    """
    if not (draws.causal and draws.layer.credit == "step" and len(losses.shape) >= 2):
        return _surrogate(losses, draws, by_step=False)
    lengths = losses.shape[1], draws.log_probs.shape[1]
    if None not in lengths:
        return _surrogate(losses, draws, by_step=lengths[0] == lengths[1])
    return ops.cond(  # Unknown while TensorFlow traces.
        ops.equal(ops.shape(losses)[1], ops.shape(draws.log_probs)[1]),
        lambda: _surrogate(losses, draws, by_step=True),
        lambda: _surrogate(losses, draws, by_step=False),
    )


def _surrogate(losses, draws, by_step: bool):
    layer, shape = draws.layer, losses.shape

    def align(values):
        """Reshape [B, T], or [B], so that it broadcasts with the losses."""
        if not len(shape):
            return ops.sum(values)  # A scalar loss belongs to every example.
        return ops.reshape(values, (*ops.shape(values), *[1] * (len(shape) - len(values.shape))))

    def accumulate(values):
        return align(ops.cumsum(values, axis=1) if by_step else ops.sum(values, axis=1))

    examples = 1 if len(shape) else ops.shape(draws.log_probs)[0]
    expected = constant(draws.baseline)
    values = losses * accumulate(draws.log_probs) - accumulate(draws.log_probs * expected)
    if layer.entropy_weight:
        entropy = draws.entropy
        if not by_step:
            real = ops.maximum(ops.sum(draws.real, axis=1), 1.0)
            entropy = ops.sum(entropy, axis=1) / real
        values = values - layer.entropy_weight * align(entropy) / examples
    if layer.baseline == "learned":
        drawn, expected = draws.drawn, draws.baseline
        error = accumulate(drawn * ops.square(expected)) - 2.0 * losses * accumulate(
            drawn * expected
        )
        values = values + error / ops.cast(ops.shape(expected)[1] * examples, error.dtype)
    return values


class _Loss(keras.losses.Loss):
    """A loss from a function, with the weights, masks and reduction of Keras's losses."""

    def __init__(self, function, reduction: str | None = "sum_over_batch_size", dtype=None):
        super().__init__(name="loss", reduction=reduction, dtype=dtype)
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def _with_equal_ranks(function):
    """Return a loss function that, like Keras, removes a superfluous last axis of size 1."""

    def call(y_true, y_pred):
        swapped = len(y_true.shape) < len(y_pred.shape)
        less, more = (y_true, y_pred) if swapped else (y_pred, y_true)
        if len(more.shape) == len(less.shape) + 1 and more.shape[-1] == 1:
            if len(less.shape) == 1:
                less = ops.expand_dims(less, axis=-1)
            else:
                more = ops.squeeze(more, axis=-1)
        return function(less, more) if swapped else function(more, less)

    return call

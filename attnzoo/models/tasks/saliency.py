"""Gradient times input: the contribution of each token or pixel to a class."""

import keras
from keras import ops


def saliency(score, embedded, fractions):
    """Return gradient times input.

        saliency[b, s] = sum over d of embedded[b, s, d] · d score / d x[b, s, d]
                         at x = fractions[b] embedded[b]

    At a fraction of 1 this is gradient times input. The mean over evenly spaced fractions in [0, 1]
    is the integrated gradients, which sum to the score minus the score at x = 0. If the score is
    linear in x, both are the exact contribution of each token.

    Args:
        score: Function of a tensor like `embedded` to a scalar.
        embedded: float [B, S, D]. Embedded tokens; or [B, H, W, C], pictures.
        fractions: float [B]. Factor of the embedded tokens at which the gradient is taken. In
            [0, 1].

    Returns:
        float32 [B, S], or [B, H, W]. Signed, in the score's unit.

    References:
        [Simonyan et al., 2014](https://arxiv.org/abs/1312.6034), section 3.
        [Li et al., 2016](https://arxiv.org/abs/1506.01066), section 5.
        [Shrikumar et al., 2016](https://arxiv.org/abs/1605.01713) (times the input).
        [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365), section 3.
    """
    of_rows = (-1, *[1] * (len(embedded.shape) - 1))
    x = embedded * ops.reshape(ops.cast(fractions, embedded.dtype), of_rows)
    gradient = _GRADIENTS[keras.backend.backend()](score, x)
    return ops.sum(ops.cast(embedded, "float32") * ops.cast(gradient, "float32"), axis=-1)


def after_embedding(backbone):
    """Return the part of a backbone after its token embedding, with the same layers.

    Args:
        backbone: A functional model of `token_ids` and `padding_mask`, with a layer
            `token_embedding`.

    Returns:
        A function of embedded tokens float [B, S, D] and their mask bool [B, S] to the backbone's
        outputs. It is hidden from Keras, which would otherwise track a second model with the same
        layers.
    """
    embedded = []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if layer is backbone.token_embedding:
            embedded.append(outputs)
        return outputs

    whole = keras.models.clone_model(backbone, clone_function=lambda x: x, call_function=call)
    inputs = [embedded[0], whole.input["padding_mask"]]
    rest = keras.Model(inputs, whole.output, name="after_embedding", dtype=backbone.dtype_policy)
    return lambda embedded, mask: rest([embedded, mask])


def _tensorflow(score, tensor):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensor)
        total = score(tensor)
    return tape.gradient(total, tensor)


def _jax(score, tensor):
    import jax

    return jax.grad(score)(tensor)


def _torch(score, tensor):
    import torch

    with torch.enable_grad():  # Keras's `predict` disables gradients.
        tensor = tensor.detach().requires_grad_()
        return torch.autograd.grad(score(tensor), tensor)[0]


_GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}

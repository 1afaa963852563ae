"""Matrix products, in the form that is fast and trains on every backend."""

from keras import ops

from attnzoo.backend import ON_TORCH


def linear(inputs, kernel, bias=None):
    """Multiply the last axis with a matrix, and add a bias.

    As one plain matrix product: TensorFlow's product of more axes has no gradient under XLA where
    their sizes are known only at run time, and on JAX XLA lays out the result of three axes so that
    what follows is slower. On torch product and sum are one operation, which saves a pass over a
    large result.

    Args:
        inputs: float [..., D].
        kernel: float [D, E].
        bias: float [E], or None.

    Returns:
        float [..., E].

    Example:
        >>> attnzoo.ops.linear(keras.ops.ones((2, 3, 5)), keras.ops.ones((5, 7))).shape
        (2, 3, 7)
    """
    if len(inputs.shape) == 2:
        return _product(inputs, kernel, bias)
    flat = ops.reshape(inputs, (-1, kernel.shape[0]))
    outputs = _product(flat, kernel, bias)
    return ops.reshape(outputs, (*ops.shape(inputs)[:-1], kernel.shape[-1]))


def _product(inputs, kernel, bias):
    if bias is None:
        return ops.matmul(inputs, kernel)
    if ON_TORCH:
        import torch

        return torch.addmm(*(ops.convert_to_tensor(one) for one in (bias, inputs, kernel)))
    return ops.add(ops.matmul(inputs, kernel), bias)


def weighted_sum(alignments, value):
    """Compute a context: the weighted sum of values.

        context[b, t] = sum over s of alignments[b, t, s] value[b, s]

    Args:
        alignments: float [B, T, S].
        value: float [B, S, D].

    Returns:
        float [B, T, D].

    Example:
        >>> weights = keras.ops.ones((2, 3, 11)) / 11
        >>> attnzoo.ops.weighted_sum(weights, keras.ops.ones((2, 11, 5))).shape
        (2, 3, 5)
    """
    if alignments.shape[1] == 1 and not ON_TORCH:
        # One query each: XLA's batched product of such thin matrices is slower than plain sums.
        return ops.sum(ops.transpose(alignments, (0, 2, 1)) * value, axis=1, keepdims=True)
    return ops.matmul(alignments, value)

"""Matrix products, in the form that is fast and trains on every backend."""

import keras
from keras import ops


def linear(inputs, kernel):
    """Multiply the last axis with a matrix.

    As one plain matrix product: TensorFlow's product of more axes has no gradient under XLA where
    their sizes are known only at run time.

    Args:
        inputs: float [..., D].
        kernel: float [D, E].

    Returns:
        float [..., E].

    Example:
        >>> attnzoo.ops.linear(keras.ops.ones((2, 3, 5)), keras.ops.ones((5, 7))).shape
        (2, 3, 7)
    """
    if len(inputs.shape) == 2:
        return ops.matmul(inputs, kernel)
    flat = ops.reshape(inputs, (-1, kernel.shape[0]))
    return ops.reshape(ops.matmul(flat, kernel), (*ops.shape(inputs)[:-1], kernel.shape[-1]))


def weighted_sum(alignments, value):
    """Gather a context: the values, weighted.

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
    if alignments.shape[1] == 1 and keras.backend.backend() != "torch":
        # One query each: XLA's batched product of such thin matrices is slower than plain sums.
        return ops.sum(ops.transpose(alignments, (0, 2, 1)) * value, axis=1, keepdims=True)
    return ops.matmul(alignments, value)

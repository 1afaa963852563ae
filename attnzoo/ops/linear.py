"""A matrix product over the last axis."""

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

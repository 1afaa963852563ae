"""Rows and values at places that are known to be in range, with nothing spent on any others."""

from keras import ops

from attnzoo.backend import ON_TENSORFLOW, ON_TORCH


def take_rows(values, rows):
    """Return the rows [R, ...] of values [M, ...] at `rows`, int [R] in [0, M).

    On torch and TensorFlow Keras's `take` first wraps negative places, in four operations or more.

    Example:
        >>> take_rows(keras.ops.convert_to_tensor([5, 7, 11]), keras.ops.convert_to_tensor([2, 0]))
        [11, 5]
    """
    if ON_TORCH:
        import torch

        return torch.index_select(values, 0, rows)
    if ON_TENSORFLOW:
        import tensorflow as tf

        return tf.gather(values, rows)
    return ops.take(values, rows, axis=0)


def take_along_rows(values, places):
    """Return the values [R, K] of each row of [R, M] at `places`, int [R, K] in [0, M).

    Example:
        >>> values = keras.ops.convert_to_tensor([[5, 7, 11]])
        >>> take_along_rows(values, keras.ops.convert_to_tensor([[2, 0]]))
        [[11, 5]]
    """
    if ON_TORCH:
        import torch

        return torch.gather(values, 1, places.long())
    if ON_TENSORFLOW:
        import tensorflow as tf

        return tf.gather(values, places, batch_dims=1)
    return ops.take_along_axis(values, places, axis=1)


def take_places(values, places):
    """Return the values [B, K, ...] of [B, M, ...] at `places`, int [B, K] in [0, M).

    Example:
        >>> take_places(keras.ops.ones((2, 11, 5)), keras.ops.zeros((2, 3), "int32")).shape
        (2, 3, 5)
    """
    shape = ops.shape(values)
    flat = ops.reshape(values, (-1, *shape[2:]))
    picked = take_rows(flat, flat_rows(places, values.shape[1]))
    return ops.reshape(picked, (-1, places.shape[1], *shape[2:]))


def flat_rows(places, size: int):
    """Return int [B * K]: the indices of the places [B, K] in a flattened [B, size].

    Example:
        >>> flat_rows(keras.ops.convert_to_tensor([[1, 0], [2, 1]]), 3)
        [1, 0, 5, 4]
    """
    starts = size * ops.arange(ops.shape(places)[0], dtype="int32")
    return ops.reshape(places + starts[:, None], (-1,))

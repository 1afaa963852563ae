"""Rows and values at places that are known to be in range, with nothing spent on any others."""

from keras import ops

from attnzoo.backend import ON_TORCH


def take_rows(values, rows):
    """Return the rows [R, ...] of values [M, ...] at `rows`, int [R] in [0, M).

    On torch Keras's `take` first wraps negative places, in four operations.

    Example:
        >>> take_rows(keras.ops.convert_to_tensor([5, 7, 11]), keras.ops.convert_to_tensor([2, 0]))
        [11, 5]
    """
    if ON_TORCH:
        import torch

        return torch.index_select(values, 0, rows)
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
    return ops.take_along_axis(values, places, axis=1)

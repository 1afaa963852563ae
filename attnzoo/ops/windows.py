"""Windows over memory: rows gathered about a place, and weights put back in their places."""

from keras import ops

from attnzoo.checks import check_at_least


def gather_windows(rows, first, width: int):
    """Gather a window of memory for each query.

        windows[b, t, w] = rows[b, first[b, t] + w]

    Before the first row and after the last one it is that row again: mask what lies outside.

    Args:
        rows: Any dtype [B, S] or [B, S, D].
        first: int [B, T]. Place of the window's first row; may lie outside of the memory.
        width: Size W of the window, in rows. At least 1.

    Returns:
        [B, T, W] or [B, T, W, D], dtype of `rows`.

    Raises:
        ValueError: If `width` < 1.

    Example:
        >>> attnzoo.ops.gather_windows([[10, 11, 12, 13]], first=[[-1, 2]], width=3)
        [[[10, 10, 11], [12, 13, 13]]]
    """
    check_at_least(1, width=width)
    rows, first = ops.convert_to_tensor(rows), ops.convert_to_tensor(first)
    batch, length, *features = ops.shape(rows)
    places = ops.expand_dims(first, -1) + ops.arange(width, dtype=first.dtype)  # [B, T, W]
    places = ops.clip(places, 0, length - 1)
    # One gather from [B S, D]: all backends have a good one, with a good gradient.
    starts = ops.reshape(ops.arange(batch, dtype=first.dtype) * length, (-1, 1, 1))  # [B, 1, 1]
    return ops.take(ops.reshape(rows, (-1, *features)), starts + places, axis=0)


def gather_memories(rows, first, width: int):
    """Gather the window of each query as a memory of its own: [B, S, D] to [B * T, W, D]."""
    windows = gather_windows(rows, first, width)
    return ops.reshape(windows, (-1, width, windows.shape[-1]))


def spread_windows(weights, first, length: int):
    """Spread the weights of windows over the memory, with zeros around them.

        spread[b, t, s] = weights[b, t, s - first[b, t]]    in the window, else 0

    Weights for places outside of the memory are dropped.

    Args:
        weights: float [B, T, W].
        first: int [B, T]. Place of the window's first row.
        length: Size S of the memory, in rows.

    Returns:
        float [B, T, S].

    Example:
        >>> attnzoo.ops.spread_windows([[[0.2, 0.3, 0.5]]], first=[[1]], length=5)
        [[[0.0, 0.2, 0.3, 0.5, 0.0]]]
    """
    weights, first = ops.convert_to_tensor(weights), ops.convert_to_tensor(first)
    width = weights.shape[-1]
    offsets = ops.arange(length, dtype=first.dtype) - ops.expand_dims(first, -1)  # [B, T, S]
    inside = ops.logical_and(offsets >= 0, offsets < width)
    spread = ops.take_along_axis(weights, ops.clip(offsets, 0, width - 1), axis=-1)
    return ops.where(inside, spread, ops.zeros_like(spread))

"""Masks. `True` means *may attend*, or *is real*."""

from keras import ops

from attnzoo.checks import check_at_least


def padding_mask(lengths, max_length: int):
    """Mark the real places of right-padded sequences.

    Args:
        lengths: int [B]. Number of real places, in steps.
        max_length: Length S of the padded sequences, in steps. At least 1.

    Returns:
        bool [B, S]. `mask[b, s] = s < lengths[b]`.

    Raises:
        ValueError: If `max_length` < 1.

    Example:
        >>> attnzoo.ops.padding_mask([2, 3], max_length=4)
        [[True, True, False, False], [True, True, True, False]]
    """
    check_at_least(1, max_length=max_length)
    lengths = ops.convert_to_tensor(lengths, dtype="int32")
    return ops.arange(max_length, dtype="int32")[None, :] < lengths[:, None]


def causal_mask(query_length: int, memory_length: int):
    """Return the mask that lets query t attend to the places 0..t.

    Args:
        query_length: T, in steps. At least 1.
        memory_length: S, in steps. At least 1.

    Returns:
        bool [T, S]. `mask[t, s] = s <= t`.

    Raises:
        ValueError: If a length is below 1.

    Example:
        >>> attnzoo.ops.causal_mask(2, 3)
        [[True, False, False], [True, True, False]]
    """
    check_at_least(1, query_length=query_length, memory_length=memory_length)
    steps = ops.arange(query_length, dtype="int32")
    places = ops.arange(memory_length, dtype="int32")
    return places[None, :] <= steps[:, None]


def combine_masks(memory_mask=None, attention_mask=None):
    """Join a mask over memory with a mask over pairs of query and memory.

    Args:
        memory_mask: bool [B, S], or None. Which memory rows are real.
        attention_mask: bool [B, T, S] or [T, S], or None. Which query may attend to which row.

    Returns:
        bool, broadcastable to [B, T, S], or None where both are None.

    Example:
        >>> attnzoo.ops.combine_masks(memory_mask, attnzoo.ops.causal_mask(3, 5)).shape  # B=2
        (2, 3, 5)
    """
    if memory_mask is None:
        return attention_mask
    memory_mask = ops.expand_dims(memory_mask, 1)  # [B, 1, S]
    if attention_mask is None:
        return memory_mask
    return ops.logical_and(memory_mask, attention_mask)

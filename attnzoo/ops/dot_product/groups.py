"""Grouped queries: those that share a head of the memory count as more steps of that head."""

from keras import ops

from attnzoo.ops.dot_product.terms import Terms


def stack_groups(query, key, memory_mask, attention_mask, bias):
    """Return the query as [B, M, T * N / M, D], and the bias and the `Terms` that go with it."""
    heads, group = key.shape[1], query.shape[1] // key.shape[1]
    query_length = ops.shape(query)[2]
    if bias is not None:
        bias = ops.cast(with_four_axes(bias, heads_first=True), query.dtype)
        bias = stack_heads(bias, heads, group)
    if attention_mask is not None:
        attention_mask = stack_heads(with_four_axes(attention_mask), heads, group)
    if memory_mask is not None:
        memory_mask = ops.convert_to_tensor(memory_mask)
    order = ops.arange(query_length * group, dtype="int32")
    terms = Terms(order, group, memory_mask=memory_mask, attention_mask=attention_mask)
    return stack_heads(query, heads, group), bias, terms


def stack_heads(tensor, heads: int, group: int):
    """Reshape [B, N, T, X] to [B, M, T * N / M, X], the queries of a group side by side."""
    if group == 1:
        return tensor
    batch, own, length, width = ops.shape(tensor)
    if own == 1:
        return ops.repeat(tensor, group, axis=2)
    tensor = ops.reshape(tensor, (batch, heads, group, length, width))
    tensor = ops.transpose(tensor, (0, 1, 3, 2, 4))
    return ops.reshape(tensor, (batch, heads, length * group, width))


def unstack_heads(tensor, query, group: int):
    """Undo `stack_heads`: [B, M, T * N / M, X] to [B, N, T, X], as many as the query has."""
    if group == 1:
        return tensor
    batch, heads, length, _ = ops.shape(query)
    width = ops.shape(tensor)[-1]
    tensor = ops.reshape(tensor, (batch, heads // group, length, group, width))
    tensor = ops.transpose(tensor, (0, 1, 3, 2, 4))
    return ops.reshape(tensor, (batch, heads, length, width))


def with_four_axes(tensor, heads_first: bool = False):
    """Give a tensor four axes.

    [T, S] becomes [1, 1, T, S]; [B, T, S] becomes [B, 1, T, S]; with `heads_first`, [N, T, S]
    becomes [1, N, T, S].
    """
    tensor = ops.convert_to_tensor(tensor)
    if len(tensor.shape) == 2:
        return tensor[None, None]
    if len(tensor.shape) == 3:
        return tensor[None] if heads_first else tensor[:, None]
    return tensor

"""Scores and alignments of all heads, held whole."""

import keras
from keras import ops

from attnzoo.ops.dot_product.arguments import check_masks, check_numbers, check_tensors
from attnzoo.ops.dot_product.groups import stack_heads, unstack_heads, with_four_axes
from attnzoo.ops.dot_product.terms import Terms, join_masks
from attnzoo.ops.normalizers import get_normalizer


def dot_product_scores(query, key, *, scale: float | None = None):
    """Compute the scores of `dot_product_attention`, before cap, bias and masks, held whole.

        scores[b, n, t, s] = scale * query[b, n, t] · key[b, n, s]

    Args:
        query: float [B, N, T, D].
        key: float [B, M, S, D], M divides N.
        scale: None for 1 / sqrt(D).

    Returns:
        float [B, N, T, S], float32 at least.

    Raises:
        ValueError: If shapes do not fit or heads do not divide.

    Example:
        >>> attnzoo.ops.dot_product_scores(query, key).shape  # B=2, N=3, T=5, S=11
        (2, 3, 5, 11)
    """
    query, key = ops.convert_to_tensor(query), ops.convert_to_tensor(key)
    check_tensors(query, key, key)
    dtype = keras.backend.result_type(query.dtype, key.dtype, "float32")
    query, key = ops.cast(query, dtype), ops.cast(key, dtype)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return grouped_matmul(query * scale, ops.transpose(key, (0, 1, 3, 2)))


def align_heads(
    scores,
    *,
    memory_mask=None,
    attention_mask=None,
    bias=None,
    soft_cap: float | None = None,
    causal: bool = False,
    window: int | None = None,
    normalizer: str = "softmax",
):
    """Normalize scores to alignments, with all terms of `dot_product_attention`.

        alignments[b, n, t] = softmax(cap(scores[b, n, t]) + bias[b, n, t])

    Args: as there, and
        scores: float [B, N, T, S]. Unbounded.
        normalizer: `"softmax"`, `"sparsemax"` or `"entmax15"`: see `get_normalizer`.

    Returns:
        float [B, N, T, S], dtype of `scores`. At least 0; exactly 0 where a mask is False. A row
        sums to 1; one with nothing to attend to is all zeros.

    Raises:
        ValueError: As there, or if the normalizer is unknown.

    Example:
        >>> attnzoo.ops.align_heads(scores, causal=True).shape  # B=2, N=3, T=5, S=11
        (2, 3, 5, 11)
    """
    scores = ops.convert_to_tensor(scores)
    check_masks(scores.shape, memory_mask, attention_mask, bias)
    check_numbers(soft_cap, window)
    if bias is not None:
        bias = ops.cast(with_four_axes(bias, heads_first=True), scores.dtype)
    terms = Terms(
        ops.arange(ops.shape(scores)[2], dtype="int32"),
        memory_mask=None if memory_mask is None else ops.convert_to_tensor(memory_mask),
        attention_mask=None if attention_mask is None else with_four_axes(attention_mask),
        soft_cap=soft_cap,
        causal=causal,
        window=window,
    )
    return align(scores, bias, terms, normalizer)


def grouped_matmul(tensor, of_memory):
    """Multiply [B, N, T, X] with [B, M, X, Y] to [B, N, T, Y]: each of M heads serves N / M."""
    batch, heads, length, width = ops.shape(tensor)
    own = of_memory.shape[1]
    if own == heads:
        return ops.matmul(tensor, of_memory)
    stacked = ops.reshape(tensor, (batch, own, heads // own * length, width))
    return ops.reshape(
        ops.matmul(stacked, of_memory), (batch, heads, length, ops.shape(of_memory)[-1])
    )


def dropped_alignments(alignments, rate: float, seed, group: int = 1):
    """Drop the alignments that `dot_product_attention` drops with the same seed.

    Args:
        alignments: float [B, N, T, S].
        rate: Probability of dropping a weight. In [0, 1).
        seed: int32 [2].
        group: N / M, how many heads of the query each head of key and value serves.

    Returns:
        float [B, N, T, S]. Those that are left are divided by 1 - rate.
    """
    _, heads, length, _ = ops.shape(alignments)
    stacked = stack_heads(alignments, heads // group, group)
    order = ops.arange(length * group, dtype="int32")
    left = apply_dropout(stacked, Terms(order, dropout=rate, seed=seed))
    return unstack_heads(left, alignments, group)


def align(scores, bias, terms: Terms, normalizer: str):
    """Normalize scores [B, N, T, S], capped, biased and masked."""
    scores = terms.cap_scores(scores)
    if bias is not None:
        scores = scores + bias
    memory_mask = terms.memory_mask
    if memory_mask is not None:
        memory_mask = memory_mask[:, None, None]  # [B, 1, 1, S]
    visible = terms.visible(terms.order, ops.shape(scores)[-1])  # [T, S]
    mask = join_masks(memory_mask, terms.attention_mask, visible)
    return get_normalizer(normalizer)(scores, mask)


def apply_dropout(alignments, terms: Terms):
    """Drop alignments [B, N, T, S], if the terms say so."""
    if not terms.dropout:
        return alignments
    batch, heads, query_length, memory_length = ops.shape(alignments)
    rows = ops.arange(batch * heads, dtype="int32")
    factors = terms.dropout_factors(rows, terms.order, memory_length)  # [B N, T, S]
    factors = ops.reshape(factors, (batch, heads, query_length, memory_length))
    return alignments * ops.cast(factors, alignments.dtype)

"""The context of dot-product attention, computed the way that suits the sizes and the backend.

There are three ways, which give the same numbers:

- *whole*: written out, with autodiff, for small sizes;
- *blocks*: some steps at a time, computed again in the backward pass, so that [B, N, T, S] is never
  held (`blocks.py`): on TensorFlow and JAX, and for what no kernel offers;
- *kernel*: the backend's own (`kernel.py`): on torch, and on JAX on an accelerator in half
  precision.
"""

import dataclasses

import keras
from keras import ops

from attnzoo.backend import choose
from attnzoo.ops.dot_product.alignments import align, apply_dropout
from attnzoo.ops.dot_product.arguments import check_numbers, check_tensors
from attnzoo.ops.dot_product.groups import stack_groups, unstack_heads
from attnzoo.ops.dot_product.kernel import has_kernel, kernel_attention
from attnzoo.ops.dot_product.parts import attend_in_parts
from attnzoo.ops.sizes import fits_whole, known_size

# Up to this many elements [B, N, T, S] plain autodiff is at least as fast as blocks.
_WHOLE_ELEMENTS = choose(2**19, tensorflow=2**22, torch=2**21)
# The batch size assumed where it is not known while tracing.
_USUAL_BATCH = 32


def dot_product_attention(
    query,
    key,
    value,
    *,
    memory_mask=None,
    attention_mask=None,
    bias=None,
    scale: float | None = None,
    soft_cap: float | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: float = 0.0,
    seed=None,
):
    """Attend with N heads, and return the context alone: the alignments are not held.

        scores[b, n, t, s] = cap(scale * query[b, n, t] · key[b, n, s]) + bias[b, n, t, s]
        context[b, n, t]   = sum over s of softmax(scores[b, n, t])[s] value[b, n, s]

    with cap(x) = soft_cap tanh(x / soft_cap). Softmax and sums are in float32 at least. There is a
    first derivative only: computed in blocks, the gradient cannot be differentiated again.

    Args:
        query: float [B, N, T, D].
        key: float [B, M, S, D]. M divides N: each head of key and value serves N / M of the query's
            (grouped queries; M = 1 is multi-query attention). They are not repeated in memory.
        value: float [B, M, S, Dv].
        memory_mask: bool [B, S], or None. True = a real row.
        attention_mask: bool [T, S], [B, T, S] or [B or 1, N or 1, T, S], or None. True = this query
            may attend to this row.
        bias: float [N, T, S] or [B or 1, N or 1, T, S], or None. Added to the scores; it has a
            gradient.
        scale: Factor of the products; None for 1 / sqrt(D).
        soft_cap: Bound that the scores stay below, in nats; above 0. None for no cap.
        causal: Whether query t sees only the places 0..t.
        window: How far query t sees, in steps: places from t - window to t + window. At least 1.
            None for all.
        dropout: Probability of dropping a weight. In [0, 1).
        seed: int32 [2]. Which weights are dropped depends on it alone.

    Returns:
        float [B, N, T, Dv], of the widest dtype of the three. Where nothing may be attended to it
        is zero.

    Raises:
        ValueError: If shapes do not fit, heads do not divide, `window` < 1, `soft_cap` is not above
            0, or there is `dropout` without a `seed`.

    Example:
        >>> attnzoo.ops.dot_product_attention(query, key, value).shape  # B=2, N=3, T=5, Dv=7
        (2, 3, 5, 7)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 1.
        [Dao et al., 2022](https://arxiv.org/abs/2205.14135), section 3.1 (recomputation).
        [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245) (grouped queries).
    """
    query, key, value = (ops.convert_to_tensor(tensor) for tensor in (query, key, value))
    check_tensors(query, key, value, memory_mask, attention_mask, bias)
    check_numbers(soft_cap, window, dropout, seed)
    dtype = keras.backend.result_type(query.dtype, key.dtype, value.dtype)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if has_kernel(dtype, bias, soft_cap, dropout, query.shape[-1] == value.shape[-1]):
        query, key, value = (ops.cast(tensor, dtype) for tensor in (query, key, value))
        masks = memory_mask, attention_mask
        return kernel_attention(
            query, key, value, masks, bias, scale=scale, causal=causal, window=window
        )
    wide = "float64" if dtype == "float64" else "float32"
    query, key, value = (ops.cast(tensor, wide) for tensor in (query, key, value))
    stacked, bias, terms = stack_groups(query * scale, key, memory_mask, attention_mask, bias)
    terms = dataclasses.replace(
        terms, soft_cap=soft_cap, causal=causal, window=window, dropout=dropout, seed=seed
    )
    if _is_small(query.shape, key.shape):
        scores = ops.matmul(stacked, ops.transpose(key, (0, 1, 3, 2)))
        alignments = align(scores, bias, terms, "softmax")
        context = ops.matmul(apply_dropout(alignments, terms), value)
    else:
        context = attend_in_parts(stacked, key, value, bias, terms)
    return ops.cast(unstack_heads(context, query, terms.group), dtype)


def _is_small(query_shape, key_shape):
    """Return whether [B, N, T, S] may be held at once."""
    batch, heads, query_length, _ = query_shape
    if query_length == 1:
        return True
    batch = known_size(batch) or _USUAL_BATCH
    return fits_whole((batch, heads, query_length, key_shape[2]), _WHOLE_ELEMENTS)

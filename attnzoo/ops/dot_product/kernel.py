"""Attention by the backend's own kernel."""

from keras import ops

from attnzoo.backend import ON_TORCH, on_accelerator
from attnzoo.ops.dot_product.groups import with_four_axes
from attnzoo.ops.dot_product.terms import Terms, join_masks


def has_kernel(
    dtype: str, bias, soft_cap: float | None, dropout: float, equal_widths: bool
) -> bool:
    """Return whether the backend has a kernel for these terms, and it is the faster way."""
    if soft_cap is not None or dropout or not equal_widths:
        return False
    if ON_TORCH:
        return not getattr(bias, "requires_grad", False)  # With a gradient torch writes it all out.
    return dtype in ("bfloat16", "float16") and on_accelerator()


def kernel_attention(
    query, key, value, masks: tuple, bias, *, scale: float, causal: bool, window: int | None
):
    """Attend by the kernel.

    Args:
        query, key, value: As in `dot_product_attention`, of one dtype.
        masks: `memory_mask` and `attention_mask`.
        bias, scale, causal, window: As there.

    Returns:
        The context, float [B, N, T, Dv].
    """
    memory_mask, attention_mask = masks
    query_length, memory_length = ops.shape(query)[2], ops.shape(key)[2]
    plainly_causal = causal and window is None and memory_mask is None and attention_mask is None
    plainly_causal = plainly_causal and bias is None
    terms = Terms(ops.arange(query_length, dtype="int32"), causal=causal, window=window)
    mask = join_masks(
        None if memory_mask is None else ops.convert_to_tensor(memory_mask)[:, None, None],
        None if attention_mask is None else with_four_axes(attention_mask),
        None if plainly_causal else terms.visible(terms.order, memory_length),
    )
    if mask is not None:
        mask = mask if len(mask.shape) == 4 else mask[None, None]
    if bias is not None:
        bias = ops.cast(with_four_axes(bias, heads_first=True), query.dtype)
    if ON_TORCH:
        import torch

        if bias is not None and mask is not None:
            mask = torch.where(mask, bias, float("-inf"))
        return torch.nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias if mask is None else mask,
            is_causal=plainly_causal,
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    heads_last = (ops.transpose(tensor, (0, 2, 1, 3)) for tensor in (query, key, value))
    context = ops.dot_product_attention(
        *heads_last, bias=bias, mask=mask, scale=scale, is_causal=plainly_causal
    )
    context = ops.transpose(context, (0, 2, 1, 3))
    if mask is None:
        return context
    return ops.where(ops.any(mask, axis=-1, keepdims=True), context, 0.0)

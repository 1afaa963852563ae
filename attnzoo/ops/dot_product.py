"""Scaled dot-product attention over heads, on the road that suits the sizes and the backend.

Heads stand in front of steps, [B, N, T, D]: so a head is a plain matrix to every product. There are
three roads to the same numbers:

- *whole*: written out, with autodiff: for small sizes;
- *blocks*: some steps at a time, made again in the backward pass, so that [B, N, T, S] is never
  held: see `dot_product_blocks.py`. For TensorFlow and JAX, and for what no kernel offers;
- *fused*: the backend's own kernel: on torch, and on an accelerator in half precision on JAX.
"""

import dataclasses

import keras
from keras import ops

from attnzoo.backend import ON_TORCH, choose, on_accelerator
from attnzoo.checks import (
    agree,
    check_above,
    check_at_least,
    check_mask_shape,
    check_rate,
    check_shape,
)
from attnzoo.ops.dot_product_blocks import Terms, attend_in_blocks, join
from attnzoo.ops.normalizers import get_normalizer
from attnzoo.ops.sizes import fits_whole, known_size

# Elements of one block [r, t, S]: few enough to stay in the caches, and enough to share out among
# the cores; most on torch, where each operation costs a call from Python.
_BLOCK_ELEMENTS = choose(2**19, tensorflow=2**20, torch=2**21)
# Up to this many elements [B, N, T, S] plain autodiff is at least as fast as blocks.
_WHOLE_ELEMENTS = choose(2**19, tensorflow=2**22, torch=2**21)
# What a batch size is taken for that is not known while tracing.
_USUAL_BATCH = 32
# Into how many parts steps are cut where each part sees another stretch of memory, and their
# shortest length.
_PARTS, _PART_STEPS = 4, 128


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
    """Attend with N heads: the context alone, without holding the alignments.

        scores[b, n, t, s] = cap(scale * query[b, n, t] · key[b, n, s]) + bias[b, n, t, s]
        context[b, n, t]   = sum over s of softmax(scores[b, n, t])[s] value[b, n, s]

    with cap(x) = soft_cap tanh(x / soft_cap). Softmax and sums are in float32 at least. There is a
    first derivative only: where it goes in blocks, the gradient cannot be differentiated again.

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
        scale: What products are multiplied with; None for 1 / sqrt(D).
        soft_cap: What scores stay below, in nats; above 0. None for no cap.
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
    check_dot_product(query, key, value, memory_mask, attention_mask, bias)
    _check_numbers(soft_cap, window, dropout, seed)
    dtype = keras.backend.result_type(query.dtype, key.dtype, value.dtype)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if _has_kernel(dtype, bias, soft_cap, dropout, query.shape[-1] == value.shape[-1]):
        tensors = [ops.cast(tensor, dtype) for tensor in (query, key, value)]
        masks = memory_mask, attention_mask
        return _fused(*tensors, masks, bias, scale=scale, causal=causal, window=window)
    wide = "float64" if dtype == "float64" else "float32"
    query, key, value = (ops.cast(tensor, wide) for tensor in (query, key, value))
    stacked, bias, terms = _stack(query * scale, key, memory_mask, attention_mask, bias)
    terms = dataclasses.replace(
        terms, soft_cap=soft_cap, causal=causal, window=window, dropout=dropout, seed=seed
    )
    if _is_small(query.shape, key.shape):
        scores = ops.matmul(stacked, ops.transpose(key, (0, 1, 3, 2)))
        alignments = _align(scores, bias, terms, "softmax")
        context = ops.matmul(_drop(alignments, terms), value)
    else:
        context = _in_parts(stacked, key, value, bias, terms)
    return ops.cast(_unstack(context, query, terms.group), dtype)


def dot_product_scores(query, key, *, scale: float | None = None):
    """The scores of `dot_product_attention`, before cap, bias and masks; all of them are held.

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
    check_dot_product(query, key, key)
    dtype = keras.backend.result_type(query.dtype, key.dtype, "float32")
    query, key = ops.cast(query, dtype), ops.cast(key, dtype)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return over_groups(query * scale, ops.transpose(key, (0, 1, 3, 2)))


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
    """Make alignments of scores [B, N, T, S], with all that `dot_product_attention` takes.

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
    _check_masks(scores.shape, memory_mask, attention_mask, bias)
    _check_numbers(soft_cap, window)
    if bias is not None:
        bias = ops.cast(_with_four_axes(bias, heads_first=True), scores.dtype)
    terms = Terms(
        ops.arange(ops.shape(scores)[2], dtype="int32"),
        memory_mask=None if memory_mask is None else ops.convert_to_tensor(memory_mask),
        attention_mask=None if attention_mask is None else _with_four_axes(attention_mask),
        soft_cap=soft_cap,
        causal=causal,
        window=window,
    )
    return _align(scores, bias, terms, normalizer)


def over_groups(tensor, of_memory):
    """Multiply [B, N, T, X] with [B, M, X, Y]: each of M heads serves N / M. Gives [B, N, T, Y]."""
    batch, heads, length, width = ops.shape(tensor)
    own = of_memory.shape[1]
    if own == heads:
        return ops.matmul(tensor, of_memory)
    stacked = ops.reshape(tensor, (batch, own, heads // own * length, width))
    return ops.reshape(
        ops.matmul(stacked, of_memory), (batch, heads, length, ops.shape(of_memory)[-1])
    )


def dropped_alignments(alignments, rate: float, seed, group: int = 1):
    """What dropout leaves of alignments [B, N, T, S]: `dot_product_attention` drops the same ones.

    Args:
        alignments: float [B, N, T, S].
        rate: Probability of dropping a weight. In [0, 1).
        seed: int32 [2].
        group: N / M, how many heads of the query each head of key and value serves.
    """
    _, heads, length, _ = ops.shape(alignments)
    stacked = _stack_heads(alignments, heads // group, group)
    order = ops.arange(length * group, dtype="int32")
    left = _drop(stacked, Terms(order, dropout=rate, seed=seed))
    return _unstack(left, alignments, group)


# === Grouped queries: those of one head of the memory, as more steps ===


def _stack(query, key, memory_mask, attention_mask, bias):
    """Query as [B, M, T * N / M, D], bias and masks to go with it."""
    heads, group = key.shape[1], query.shape[1] // key.shape[1]
    query_length = ops.shape(query)[2]
    if bias is not None:
        bias = ops.cast(_with_four_axes(bias, heads_first=True), query.dtype)
        bias = _stack_heads(bias, heads, group)
    if attention_mask is not None:
        attention_mask = _stack_heads(_with_four_axes(attention_mask), heads, group)
    if memory_mask is not None:
        memory_mask = ops.convert_to_tensor(memory_mask)
    order = ops.arange(query_length * group, dtype="int32")
    terms = Terms(order, group, memory_mask=memory_mask, attention_mask=attention_mask)
    return _stack_heads(query, heads, group), bias, terms


def _stack_heads(tensor, heads: int, group: int):
    """[B, N, T, X] to [B, M, T * N / M, X], the queries of a group side by side."""
    if group == 1:
        return tensor
    batch, own, length, width = ops.shape(tensor)
    if own == 1:
        return ops.repeat(tensor, group, axis=2)
    tensor = ops.reshape(tensor, (batch, heads, group, length, width))
    tensor = ops.transpose(tensor, (0, 1, 3, 2, 4))
    return ops.reshape(tensor, (batch, heads, length * group, width))


def _unstack(tensor, query, group: int):
    """[B, M, T * N / M, X] to [B, N, T, X]."""
    if group == 1:
        return tensor
    batch, heads, length, _ = ops.shape(query)
    width = ops.shape(tensor)[-1]
    tensor = ops.reshape(tensor, (batch, heads // group, length, group, width))
    tensor = ops.transpose(tensor, (0, 1, 3, 2, 4))
    return ops.reshape(tensor, (batch, heads, length, width))


def _with_four_axes(tensor, heads_first: bool = False):
    """[T, S] as [1, 1, T, S]; [B, T, S] as [B, 1, T, S], or [N, T, S] as [1, N, T, S]."""
    tensor = ops.convert_to_tensor(tensor)
    if len(tensor.shape) == 2:
        return tensor[None, None]
    if len(tensor.shape) == 3:
        return tensor[None] if heads_first else tensor[:, None]
    return tensor


# === Whole ===


def _is_small(query_shape, key_shape):
    """Whether [B, N, T, S] may be held at once."""
    batch, heads, query_length, _ = query_shape
    if query_length == 1:
        return True
    batch = known_size(batch) or _USUAL_BATCH
    return fits_whole((batch, heads, query_length, key_shape[2]), _WHOLE_ELEMENTS)


def _align(scores, bias, terms: Terms, normalizer: str):
    scores = terms.cap(scores)  # [B, N, T, S]
    if bias is not None:
        scores = scores + bias
    memory_mask = terms.memory_mask
    if memory_mask is not None:
        memory_mask = memory_mask[:, None, None]  # [B, 1, 1, S]
    mask = join(memory_mask, terms.attention_mask, terms.see(terms.order, ops.shape(scores)[-1]))
    return get_normalizer(normalizer)(scores, mask)


def _drop(alignments, terms: Terms):
    if not terms.dropout:
        return alignments
    batch, heads, query_length, memory_length = ops.shape(alignments)
    rows = ops.arange(batch * heads, dtype="int32")
    kept = terms.keep(rows, terms.order, memory_length)  # [B N, T, S]
    kept = ops.reshape(kept, (batch, heads, query_length, memory_length))
    return alignments * ops.cast(kept, alignments.dtype)


# === Blocks ===


def _in_parts(query, key, value, bias, terms: Terms):
    """In blocks; some parts of the steps apart where each sees a stretch of memory of its own."""
    contexts = []
    for first, last, start, end in _parts(query.shape[2], key.shape[2], terms):
        whole = (first, start) == (0, 0) and (last, end) == (query.shape[2], key.shape[2])
        if whole:
            return attend_in_blocks(query, key, value, bias, terms, _BLOCK_ELEMENTS)
        steps, places = slice(first, last), slice(start, end)
        part = dataclasses.replace(
            terms,
            order=terms.order[steps],
            memory_start=start,
            memory_mask=None if terms.memory_mask is None else terms.memory_mask[:, places],
            attention_mask=(
                None if terms.attention_mask is None else terms.attention_mask[:, :, steps, places]
            ),
        )
        contexts.append(
            attend_in_blocks(
                query[:, :, steps],
                key[:, :, places],
                value[:, :, places],
                None if bias is None else bias[:, :, steps, places],
                part,
                _BLOCK_ELEMENTS,
            )
        )
    return ops.concatenate(contexts, axis=2)


def _parts(queries, memory_length, terms: Terms):
    """First and last query, first and last place, of parts that see nothing of the rest."""
    bounded = terms.causal or terms.window is not None
    if not bounded or queries is None or memory_length is None:
        return [(0, queries, 0, memory_length)]
    query_length = queries // terms.group
    count = max(1, min(_PARTS, query_length // _PART_STEPS))
    length = -(-query_length // count)
    parts = []
    for first in range(0, query_length, length):
        last = min(first + length, query_length)
        start = 0 if terms.window is None else first - terms.window
        end = last if terms.causal else last + terms.window
        end = min(max(end, 1), memory_length)
        start = min(max(start, 0), end - 1)
        parts.append((first * terms.group, last * terms.group, start, end))
    return parts


# === Fused ===


def _has_kernel(dtype: str, bias, soft_cap, dropout: float, equal_widths: bool) -> bool:
    """Whether the backend has a kernel of its own for this, and it is the better road."""
    if soft_cap is not None or dropout or not equal_widths:
        return False
    if ON_TORCH:
        return not getattr(bias, "requires_grad", False)  # With that, torch goes the whole road.
    return dtype in ("bfloat16", "float16") and on_accelerator()


def _fused(query, key, value, masks, bias, *, scale, causal, window):
    memory_mask, attention_mask = masks
    query_length, memory_length = ops.shape(query)[2], ops.shape(key)[2]
    plainly_causal = causal and window is None and memory_mask is None and attention_mask is None
    plainly_causal = plainly_causal and bias is None
    terms = Terms(ops.arange(query_length, dtype="int32"), causal=causal, window=window)
    mask = join(
        None if memory_mask is None else ops.convert_to_tensor(memory_mask)[:, None, None],
        None if attention_mask is None else _with_four_axes(attention_mask),
        None if plainly_causal else terms.see(terms.order, memory_length),
    )
    if mask is not None:
        mask = mask if len(mask.shape) == 4 else mask[None, None]
    if bias is not None:
        bias = ops.cast(_with_four_axes(bias, heads_first=True), query.dtype)
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


# === Checks ===


def check_dot_product(query, key, value, memory_mask=None, attention_mask=None, bias=None):
    """Raise if query, key, value, masks and bias do not belong together, as far as shapes tell."""
    shapes = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    fits = all(len(shape) == 4 for shape in shapes)
    if fits:
        (_, heads, _, width), (_, key_heads, places, key_width), (_, own, rows, _) = shapes
        fits = (
            agree(*(shape[0] for shape in shapes))
            and width == key_width
            and key_heads == own
            and agree(places, rows)
            and heads % key_heads == 0
        )
    if not fits:
        raise ValueError(
            "`query` [B, N, T, D], `key` [B, M, S, D] and `value` [B, M, S, Dv] must have one "
            f"batch size, and M must divide N. Received shapes: query={shapes[0]}, "
            f"key={shapes[1]}, value={shapes[2]}"
        )
    _check_masks((*shapes[0][:3], places), memory_mask, attention_mask, bias)


def _check_masks(shape, memory_mask, attention_mask, bias):
    sizes = dict(zip("BNTS", shape, strict=True))
    check_mask_shape("memory_mask", memory_mask, sizes, ["BS"])
    check_mask_shape("attention_mask", attention_mask, sizes, ["TS", "BTS", "BNTS"])
    if bias is not None:
        check_shape("bias", bias, sizes, ["NTS", "BNTS"])


def _check_numbers(soft_cap, window, dropout=0.0, seed=None):
    check_above(0, soft_cap=soft_cap)
    check_at_least(1, window=window)
    check_rate(dropout=dropout)
    if dropout and seed is None:
        raise ValueError(f"`dropout` needs a `seed`. Received: dropout={dropout}, seed=None")

"""Checks of the arguments of dot-product attention."""

from attnzoo.checks import (
    agree,
    check_above,
    check_at_least,
    check_mask_shape,
    check_rate,
    check_shape,
)


def check_tensors(query, key, value, memory_mask=None, attention_mask=None, bias=None):
    """Raise unless query, key, value, masks and bias belong together, as far as shapes tell."""
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
    check_masks((*shapes[0][:3], places), memory_mask, attention_mask, bias)


def check_masks(shape, memory_mask, attention_mask, bias):
    """Raise unless masks and bias fit scores of this shape, [B, N, T, S]."""
    sizes = dict(zip("BNTS", shape, strict=True))
    check_mask_shape("memory_mask", memory_mask, sizes, ["BS"])
    check_mask_shape("attention_mask", attention_mask, sizes, ["TS", "BTS", "BNTS"])
    if bias is not None:
        check_shape("bias", bias, sizes, ["NTS", "BNTS"])


def check_numbers(soft_cap: float | None, window: int | None, dropout: float = 0.0, seed=None):
    """Raise unless the numbers are in their ranges, and a dropout has a seed."""
    check_above(0, soft_cap=soft_cap)
    check_at_least(1, window=window)
    check_rate(dropout=dropout)
    if dropout and seed is None:
        raise ValueError(f"`dropout` needs a `seed`. Received: dropout={dropout}, seed=None")

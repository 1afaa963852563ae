"""Checks of arguments: each raises a ValueError that names the rule and the value received."""

from collections.abc import Collection

# === Python values ===


def check_positive(**sizes: int):
    """Raise unless every size is a whole number of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"`{name}` must be a whole number, at least 1. Received: {name}={size!r}"
            )


def check_at_least(least: float, **numbers: float | None):
    """Raise unless every number that is given is `least` or more. None is not given."""
    for name, number in numbers.items():
        if number is not None and not number >= least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={number}")


def check_above(bound: float, *, finite: bool = False, **numbers: float | None):
    """Raise unless every number that is given is above `bound`. None is not given.

    Args:
        bound: The largest number that is refused.
        finite: Whether infinity is refused too.
        **numbers: The numbers, each under its argument's name.
    """
    for name, number in numbers.items():
        if number is not None and not (bound < number and (not finite or number < float("inf"))):
            rule = f"above {bound}, and finite" if finite else f"above {bound}"
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={number}")


def check_rate(**rates: float):
    """Raise unless every rate is in [0, 1): a dropout, a share, a decay."""
    for name, rate in rates.items():
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"`{name}` must be in [0, 1). Received: {name}={rate}")


def check_choice(choices: Collection, **chosen):
    """Raise unless every value is one of `choices`, which the message shows as they are given."""
    for name, value in chosen.items():
        if value not in choices:
            raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}")


# === Tensors, as far as their shapes are known ===


def is_symbol(size: object) -> bool:
    """Return whether a size is a symbol of an export of JAX or torch."""
    return not isinstance(size, int) and size is not None and not hasattr(size, "shape")


def agree(*sizes: object) -> bool:
    """Return whether all known sizes are equal. A symbol equals none but itself."""
    known = [size for size in sizes if size is not None]
    return all(size == known[0] for size in known[1:])


def check_mask(name: str, mask, ranks: tuple[int, ...], true: str = "may attend"):
    """Raise unless `mask` is None, or boolean with one of these ranks.

    Args:
        name: The argument's name.
        mask: bool, or None.
        ranks: How many axes the mask may have.
        true: The meaning of True, for the message.
    """
    if mask is None:
        return
    _check_boolean(name, mask, true)
    if len(mask.shape) not in ranks:
        raise ValueError(
            f"`{name}` must have rank {' or '.join(map(str, ranks))}. "
            f"Received: {name}.shape={tuple(mask.shape)}"
        )


def check_mask_shape(name: str, mask, sizes: dict, layouts: list[str]):
    """Raise unless `mask` is None, or boolean with one of these layouts, as in `check_shape`."""
    if mask is None:
        return
    _check_boolean(name, mask, "may attend")
    check_shape(name, mask, sizes, layouts)


def check_shape(name: str, tensor, sizes: dict, layouts: list[str]):
    """Raise unless a tensor has one of these layouts.

    Args:
        name: The argument's name.
        tensor: The tensor. With more than two axes, all but the last two may have size 1: then one
            matrix serves all examples, or all heads.
        sizes: The size of each axis under its letter. None is not known.
        layouts: Letters of the axes in their order, such as `["TS", "BTS"]`.
    """
    shape = tuple(tensor.shape)
    for layout in layouts:
        if len(shape) == len(layout) and all(
            agree(size, sizes[letter]) or (size == 1 and axis < len(layout) - 2)
            for axis, (size, letter) in enumerate(zip(shape, layout, strict=True))
        ):
            return
    known = ", ".join(f"{letter}={size}" for letter, size in sizes.items())
    kinds = " or ".join(f"[{', '.join(layout)}]" for layout in layouts)
    remedy = ""
    if any(map(is_symbol, shape)):
        remedy = (
            ". In an export, sizes that are equal and left open must have one name: pass "
            '`jax2tf_kwargs={"polymorphic_shapes": ...}` to `model.export`'
        )
    raise ValueError(
        f"`{name}` must have shape {kinds} with {known}. Received: {name}.shape={shape}{remedy}"
    )


def check_attention_inputs(query, memory, memory_mask=None, attention_mask=None):
    """Raise unless query, memory and masks belong together.

    Args:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].
        memory_mask: bool [B, S], or None.
        attention_mask: bool [B, T, S] or [T, S], or None.
    """
    for name, tensor in (("query", query), ("memory", memory)):
        if len(tensor.shape) != 3:
            raise ValueError(
                f"`{name}` must have rank 3, [batch, steps, features]. "
                f"Received: {name}.shape={tuple(tensor.shape)}"
            )
    if not agree(query.shape[0], memory.shape[0]):
        raise ValueError(
            "`query` and `memory` must have the same batch size. Received: "
            f"query.shape={tuple(query.shape)}, memory.shape={tuple(memory.shape)}"
        )
    check_mask("memory_mask", memory_mask, ranks=(2,), true="is real")
    check_mask("attention_mask", attention_mask, ranks=(2, 3))
    sizes = {"B": memory.shape[0], "T": query.shape[1], "S": memory.shape[1]}
    check_mask_shape("memory_mask", memory_mask, sizes, ["BS"])
    check_mask_shape("attention_mask", attention_mask, sizes, ["TS", "BTS"])


def _check_boolean(name, mask, true):
    import keras  # Here: what starts a command checks arguments too.

    if keras.backend.standardize_dtype(mask.dtype) != "bool":
        raise ValueError(
            f"`{name}` must be boolean, True = {true}. Received: {name}.dtype={mask.dtype}"
        )

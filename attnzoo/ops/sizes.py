"""Sizes of tensors as far as they are known while tracing.

A size that is not known is None on TensorFlow. In an export of JAX or torch it is a symbol: it can
be calculated with, but not compared with a number.
"""

import math

from attnzoo.checks import is_symbol


def known_size(size) -> int | None:
    """Return a size as an int, or None where it is not known while tracing."""
    return size if isinstance(size, int) else None


def fits_whole(sizes, elements: int) -> bool:
    """Return whether a tensor of these sizes may be held at once, and not in blocks.

    A size that is None may be large. A symbol cannot be cut into blocks.

    Args:
        sizes: Ints, None or symbols.
        elements: How many elements may be held at once.
    """
    if any(map(is_symbol, sizes)):
        return True
    return None not in sizes and math.prod(sizes) <= elements

"""Dropout whose draws depend on a seed and a place alone, so that blocks can make them again."""

from keras import ops

# A bijection of 32 bits with little bias, and the golden ratio, as signed numbers.
_FACTORS = 0x7FEB352D, 0x846CA68B - 2**32
_STRIDE = 0x9E3779B9 - 2**32


def dropout_factors(rate: float, seed, rows, steps, places):
    """Draw the factors of dropout: 0, or 1 / (1 - rate).

        bits[r, t, s] = mix(mix(mix(rows[r] + seed[0]) + steps[t] + seed[1]) + places[s] * stride)

    Each number depends on the seed and on where it stands, and on nothing else: any part of the
    whole can be drawn alone, and is the same on every backend.

    Args:
        rate: Probability of 0. In [0, 1).
        seed: int32 [2].
        rows: int32 [R]. Which row of a batch.
        steps: int32 [T]. Which query steps.
        places: int32 [S]. Which places of the memory.

    Returns:
        float32 [R, T, S].

    Example:
        >>> steps = keras.ops.arange(3)
        >>> dropout_factors(0.5, keras.ops.array([1, 2]), steps, steps, steps).shape
        (3, 3, 3)
    """
    lines = _mix(rows + seed[0])[:, None] + steps[None, :] + seed[1]  # [R, T]
    bits = _mix(_mix(lines)[:, :, None] + places * _STRIDE)  # [R, T, S]
    kept = ops.bitwise_and(bits, 0x7FFFFFFF) >= round(rate * 2**31)
    return ops.where(kept, 1.0 / (1.0 - rate), 0.0)


def _mix(bits):
    bits = ops.bitwise_xor(bits, _shift(bits, 16)) * _FACTORS[0]
    bits = ops.bitwise_xor(bits, _shift(bits, 15)) * _FACTORS[1]
    return ops.bitwise_xor(bits, _shift(bits, 16))


def _shift(bits, count: int):
    """Shift to the right, with zeros from the left as for a number without a sign."""
    return ops.bitwise_and(ops.right_shift(bits, count), (1 << (32 - count)) - 1)

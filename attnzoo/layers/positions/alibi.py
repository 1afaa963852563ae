"""Attention with linear biases."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.positions.base import Position, relative_positions


@keras.saving.register_keras_serializable(package="attnzoo")
class AlibiPosition(Position):
    """Linear biases of Press et al.: distant places score lower, by a slope for each head.

        scores[b, n, t, s] - slopes[n] |key_positions[s] - query_positions[t]|
        slopes[n]          = 2^(-8 (n + 1) / N)

    If N is no power of two: the slopes of the largest power of two M below it, then every other
    slope of 2 M heads, from the first one on. There are no weights; a model trained on short
    sequences reads longer ones.

    Differs from the paper: the distance has no sign, so that it works in both directions. Under a
    causal mask this is the paper's; the slopes for other N are those of its authors' program.

    Args:
        num_heads: Number of heads N. At least 1.

    Raises:
        ValueError: If `num_heads` < 1.

    Example:
        >>> steps = keras.ops.arange(3)
        >>> attnzoo.layers.AlibiPosition(num_heads=1).bias(steps, steps) * 256
        [[[0, -1, -2], [-1, 0, -1], [-2, -1, 0]]]

    References:
        [Press et al., 2022](https://arxiv.org/abs/2108.12409), section 3.
    """

    def __init__(self, num_heads: int, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads)
        self.num_heads = num_heads

    def bias(self, query_positions, key_positions):
        # In float32: half precision does not tell 1000 tokens from 1001.
        distance = ops.abs(relative_positions(query_positions, key_positions))  # [T, S]
        slopes = ops.convert_to_tensor(alibi_slopes(self.num_heads), dtype="float32")
        return -slopes[:, None, None] * ops.cast(distance, "float32")[None]  # [N, T, S]

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads}


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slope of each head, in nats for one token."""
    power = 2 ** (num_heads.bit_length() - 1)  # The largest power of two that is not above N.
    slopes = [2.0 ** (-8.0 * (n + 1) / power) for n in range(power)]
    if power < num_heads:
        slopes += alibi_slopes(2 * power)[::2][: num_heads - power]
    return slopes

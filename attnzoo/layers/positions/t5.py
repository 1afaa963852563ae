"""Bucketed relative position."""

import keras
import numpy as np
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.positions.base import Position, relative_positions


@keras.saving.register_keras_serializable(package="attnzoo")
class T5Position(Position):
    """Relative position of T5: a trained bias of scores for each bucket of distances.

        scores[b, n, t, s] + table[bucket(key_positions[s] - query_positions[t]), n]

    A side has n buckets: all of them for tokens before, if not `bidirectional` (the rest is
    bucket 0); else half of them, and as many again for tokens after. On a side

        bucket(r) = r                                                              for r < n / 2
        bucket(r) = n/2 + floor(log(r / (n/2)) / log(max_distance / (n/2)) * n/2)  above, < n

    so that near tokens are told apart and far ones are not: any length will do. The paper does not
    divide its scores by sqrt(d), and shares one table between all layers of a side: give them one
    instance, or a backbone `position="t5", share_position=True`.

    Differs from the paper: the edges of the buckets are found in whole numbers, without rounding.

    Args:
        num_heads: Number of heads N. At least 1.
        bidirectional: Whether tokens after have buckets too. False for a causal decoder.
        num_buckets: Number of buckets. At least 2; if `bidirectional` even, and at least 4.
        max_distance: Where the last bucket is full, in tokens. Above n / 2.

    Raises:
        ValueError: If `num_heads` < 1, or buckets and distances do not fit together.

    Example:
        >>> position = attnzoo.layers.T5Position(num_heads=7)
        >>> position.build()
        >>> position.bias(keras.ops.arange(3), keras.ops.arange(11)).shape
        (7, 3, 11)

    References:
        [Raffel et al., 2020](https://arxiv.org/abs/1910.10683), section 2.1.
    """

    def __init__(
        self,
        num_heads: int,
        *,
        bidirectional: bool = True,
        num_buckets: int = 32,
        max_distance: int = 128,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads, num_buckets=num_buckets, max_distance=max_distance)
        side = num_buckets // 2 if bidirectional else num_buckets
        if side < 2 or (bidirectional and num_buckets % 2):
            raise ValueError(
                "`num_buckets` must be at least 2; with `bidirectional` even and at least 4. "
                f"Received: num_buckets={num_buckets}, bidirectional={bidirectional}"
            )
        if max_distance <= side // 2:
            raise ValueError(
                f"`max_distance` must be above {side // 2}, where buckets of one distance end. "
                f"Received: max_distance={max_distance}, num_buckets={num_buckets}"
            )
        self.num_heads = num_heads
        self.bidirectional = bidirectional
        self.num_buckets = num_buckets
        self.max_distance = max_distance

    def build(self, x_shape=None):
        self.table = self.add_weight(
            shape=(self.num_buckets, self.num_heads),
            initializer="glorot_uniform",
            autocast=False,  # Scores are float32 where it is added.
            name="table",
        )
        self.built = True

    def bias(self, query_positions, key_positions):
        relative = relative_positions(query_positions, key_positions)  # [T, S]
        relative = ops.clip(relative, -self.max_distance, self.max_distance)
        buckets = bucket_numbers(self.num_buckets, self.max_distance, self.bidirectional)
        buckets = ops.take(ops.convert_to_tensor(buckets), relative + self.max_distance, axis=0)
        table = ops.cast(ops.convert_to_tensor(self.table), "float32")
        return ops.transpose(ops.take(table, buckets, axis=0), (2, 0, 1))  # [N, T, S]

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "bidirectional": self.bidirectional,
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
        }


def bucket_numbers(num_buckets: int, max_distance: int, bidirectional: bool) -> np.ndarray:
    """Return the bucket of each distance from -max_distance to max_distance, int32."""
    size = num_buckets // 2 if bidirectional else num_buckets
    side = [_bucket(distance, size, max_distance) for distance in range(max_distance + 1)]
    after = [size + bucket if bidirectional else 0 for bucket in side[1:]]
    return np.array([*reversed(side), *after], dtype="int32")


def _bucket(distance: int, size: int, max_distance: int) -> int:
    """Return the bucket of a distance, of `size` on a side."""
    exact = size // 2
    if distance < exact:
        return distance
    rest = size - exact
    # floor(rest log(r / exact) / log(max / exact)) is the largest j with
    # (max / exact)^j <= (r / exact)^rest; without fractions:
    j = 0
    while j + 1 < rest and (
        max_distance ** (j + 1) * exact**rest <= distance**rest * exact ** (j + 1)
    ):
        j += 1
    return exact + j

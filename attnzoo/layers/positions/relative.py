"""Relative position."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.positions.base import Position, relative_positions
from attnzoo.ops import linear


@keras.saving.register_keras_serializable(package="attnzoo")
class RelativePosition(Position):
    """A trained vector for each distance, compared with the query as the keys are.

        r[t, s]    = clip(key_positions[s] - query_positions[t], -max_distance, max_distance)
        scores[b, n, t, s] + query[b, n, t] · key_table[r[t, s]]
        context[b, n, t]   + sum over s of alignments[b, n, t, s] value_table[r[t, s]]

    The second line only with `values=True`. Tables are shared by the heads; the paper has one pair
    for each layer. Farther than `max_distance` all distances are alike: any length will do.

    There is no [T, S, d]: the query is multiplied with the R = 2 max_distance + 1 vectors that
    there are, and weights are summed for each distance before values are. What stands at which
    distance is a product with zeros and ones [T, S, R], whose gradient is a product again; taking
    single numbers out of a tensor is slow on the way back.

    Differs from the paper: distances add to the context only with `values=True`; the paper's
    section 4.3 finds that they need not.

    Args:
        key_dim: Width d of the keys of one head, in features. At least 1.
        max_distance: Farthest distance with a vector of its own, in tokens. At least 1.
        values: Whether distances add to the context too. The attention must then hold its
            alignments, which a fused kernel does not.
        value_dim: Width of the values of one head, in features. By default `key_dim`.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> position = attnzoo.layers.RelativePosition(key_dim=5, max_distance=3)
        >>> position.build()
        >>> steps = keras.ops.arange(11)
        >>> position.query_bias(query, steps[:3], steps).shape  # B=2, N=7, T=3, d=5
        (2, 7, 3, 11)

    References:
        [Shaw et al., 2018](https://arxiv.org/abs/1803.02155), equations 3 to 5.
    """

    def __init__(
        self,
        key_dim: int,
        *,
        max_distance: int = 16,
        values: bool = False,
        value_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        value_dim = key_dim if value_dim is None else value_dim
        check_positive(key_dim=key_dim, max_distance=max_distance, value_dim=value_dim)
        self.key_dim = key_dim
        self.max_distance = max_distance
        self.values = values
        self.value_dim = value_dim

    @property
    def needs_alignments(self) -> bool:  # type: ignore[override]  # A constant of the base.
        """Whether there is a `value_bias`."""
        return self.values

    def build(self, x_shape=None):
        count = 2 * self.max_distance + 1
        self.key_table = self.add_weight(
            shape=(count, self.key_dim), initializer="glorot_uniform", name="key_table"
        )
        if self.values:
            self.value_table = self.add_weight(
                shape=(count, self.value_dim), initializer="glorot_uniform", name="value_table"
            )
        self.built = True

    def check_sizes(self, **offered):
        super().check_sizes(**offered)
        if self.values:
            self.check_size("value_dim", offered)

    def query_bias(self, query, query_positions, key_positions):
        table = self.read(self.key_table)
        products = linear(query, ops.transpose(table))  # [B, N, T, R]
        stands_at = self._distances(query_positions, key_positions, products.dtype)
        return _each_step(products, ops.transpose(stands_at, (0, 2, 1)))

    def value_bias(self, alignments, query_positions, key_positions):
        if not self.values:
            return None
        stands_at = self._distances(query_positions, key_positions, alignments.dtype)
        table = ops.cast(self.read(self.value_table), alignments.dtype)
        return linear(_each_step(alignments, stands_at), table)  # [B, N, T, d]

    def get_config(self):
        return {
            **super().get_config(),
            "key_dim": self.key_dim,
            "max_distance": self.max_distance,
            "values": self.values,
            "value_dim": self.value_dim,
        }

    def _distances(self, query_positions, key_positions, dtype):
        """Return 1 where s stands at distance r from t, else 0: [T, S, R]."""
        relative = relative_positions(query_positions, key_positions)
        relative = ops.clip(relative, -self.max_distance, self.max_distance)
        return ops.one_hot(relative + self.max_distance, 2 * self.max_distance + 1, dtype=dtype)


def _each_step(rows, matrices):
    """Multiply rows[b, n, t] with matrices[t]: [B, N, T, D], [T, D, E] to [B, N, T, E]."""
    batch, heads, steps, width = ops.shape(rows)
    rows = ops.reshape(ops.transpose(rows, (2, 0, 1, 3)), (steps, -1, width))  # [T, B N, D]
    products = ops.matmul(rows, matrices)  # [T, B N, E]
    products = ops.reshape(products, (steps, batch, heads, ops.shape(matrices)[-1]))
    return ops.transpose(products, (1, 2, 0, 3))

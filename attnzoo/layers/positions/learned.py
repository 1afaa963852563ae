"""Learned position."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.positions.base import Position
from attnzoo.ops.sizes import known_size

_REMEDY = (
    "Give the position a larger `max_length`, cut what goes in, or take a position without a "
    'table, such as "sinusoidal" or "rotary".'
)


@keras.saving.register_keras_serializable(package="attnzoo")
class LearnedPosition(Position):
    """A table of trained vectors, one for each position, added at the input.

        x[b, t] + table[positions[t]]

    What lies beyond the table has no vector, and none is made up for it. A sequence that is too
    long is refused where its length is known; where positions are known only at run time nothing
    can be raised, and every feature there is NaN.

    Args:
        max_length: Number of positions in the table, in tokens. At least 1.

    Call arguments:
        x: float [B, T, D], T <= `max_length`.
        positions: int [T], in tokens, each in [0, `max_length`). By default 0..T-1.

    Returns:
        float [B, T, D].

    Raises:
        ValueError: If `max_length` < 1, if x is longer than `max_length`, or if the layer is built
            without the width of x.

    Example:
        >>> attnzoo.layers.LearnedPosition(max_length=13)(x).shape  # B=2, T=3, D=5
        (2, 3, 5)

    References:
        [Gehring et al., 2017](https://arxiv.org/abs/1705.03122), section 3.1.
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), table 3, row E.
    """

    at_input = True

    def __init__(self, max_length: int, **kwargs):
        super().__init__(**kwargs)
        check_positive(max_length=max_length)
        self.max_length = max_length

    def build(self, x_shape=None):
        if x_shape is None:
            raise ValueError(
                "A learned position acts at the input of a model, where x has a width: call it "
                "there, and not in an attention. Received: x_shape=None"
            )
        self.table = self.add_weight(
            shape=(self.max_length, x_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="table",
        )
        self.built = True

    def check_sizes(self, **offered):
        super().check_sizes(**offered)
        longest = offered.get("max_length", 0)
        if longest > self.max_length:
            raise ValueError(
                f"The table of a learned position must hold `max_length`={longest} tokens. "
                f"Received: {self!r} with max_length={self.max_length}. {_REMEDY}"
            )

    def embed(self, x, positions):
        self._check_length(x.shape)
        positions = ops.cast(positions, "int32")
        known = ops.logical_and(positions >= 0, positions < self.max_length)  # [T]
        # An index outside is an error on one backend, another row on the next: here it is neither.
        places = ops.clip(positions, 0, self.max_length - 1)
        rows = ops.take(self.read(self.table), places, axis=0)  # [T, D]
        return x + ops.cast(ops.where(known[:, None], rows, float("nan")), x.dtype)

    def compute_output_shape(self, x_shape, positions_shape=None):
        self._check_length(x_shape)  # Here too: a symbolic call makes no embedding.
        return x_shape

    def get_config(self):
        return {**super().get_config(), "max_length": self.max_length}

    def _check_length(self, x_shape):
        if (known_size(x_shape[1]) or 0) > self.max_length:
            raise ValueError(
                f"`x` must be at most `max_length`={self.max_length} tokens long. Received: "
                f"x.shape={tuple(x_shape)}. {_REMEDY}"
            )

"""Rotary position."""

import keras
from keras import ops

from attnzoo.checks import check_above
from attnzoo.layers.positions.base import (
    Position,
    position_angles,
)


@keras.saving.register_keras_serializable(package="attnzoo")
class RotaryPosition(Position):
    """Rotary position of Su et al.: query and key turn by their positions.

        angle[t, i]         = positions[t] / max_wavelength^(2 i / d)
        rotated[t, i]       = cos(angle[t, i]) query[t, i] - sin(angle[t, i]) query[t, i + d/2]
        rotated[t, i + d/2] = sin(angle[t, i]) query[t, i] + cos(angle[t, i]) query[t, i + d/2]

    and the keys alike. A turn changes no length, values are not turned, there are no weights, and a
    position may be as large as one likes.

    Differs from the paper: feature i is paired with i + d/2, and not with its neighbour, as in
    KerasHub and most trained models. Models with weights of their own learn the same thing.

    Args:
        max_wavelength: Length of the slowest wave, over 2 pi, in tokens. Above 1.

    Raises:
        ValueError: If `max_wavelength` is not above 1, or the width d of a head is odd.

    Example:
        >>> position = attnzoo.layers.RotaryPosition()
        >>> steps = keras.ops.arange(3)
        >>> query, key = position.rotate(query, key, steps, steps)  # B=2, N=7, T=S=3, d=14
        >>> query.shape
        (2, 7, 3, 14)

    References:
        [Su et al., 2021](https://arxiv.org/abs/2104.09864), equation 34.
    """

    def __init__(self, *, max_wavelength: float = 10000.0, **kwargs):
        super().__init__(**kwargs)
        check_above(1, max_wavelength=max_wavelength)
        self.max_wavelength = max_wavelength

    def check_sizes(self, **offered):
        super().check_sizes(**offered)
        if "key_dim" in offered:
            _check_even(offered["key_dim"])

    def rotate(self, query, key, query_positions, key_positions):
        waves = query_waves = self._waves(query, query_positions)
        if key_positions is not query_positions:
            waves = self._waves(key, key_positions)
        return _turn(query, *query_waves), _turn(key, *waves)

    def _waves(self, rows, positions):
        """Return cosines and sines for [B, N, T, d]: each [T, d/2], in its dtype."""
        _check_even(rows.shape[-1])
        angles = position_angles(positions, rows.shape[-1], self.max_wavelength)
        return ops.cast(ops.cos(angles), rows.dtype), ops.cast(ops.sin(angles), rows.dtype)

    def get_config(self):
        return {**super().get_config(), "max_wavelength": self.max_wavelength}


def _check_even(key_dim: int):
    if key_dim % 2:
        raise ValueError(
            "`key_dim` must be even: a rotary position rotates pairs of features. "
            f"Received: key_dim={key_dim}"
        )


def _turn(rows, cosines, sines):
    first, second = ops.split(rows, 2, axis=-1)
    turned = [first * cosines - second * sines, first * sines + second * cosines]
    return ops.concatenate(turned, axis=-1)

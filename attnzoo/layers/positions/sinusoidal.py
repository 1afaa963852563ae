"""Sinusoidal position."""

import keras
from keras import ops

from attnzoo.checks import check_above
from attnzoo.layers.positions.base import (
    Position,
    position_angles,
)


@keras.saving.register_keras_serializable(package="attnzoo")
class SinusoidalPosition(Position):
    """Sinusoidal position of Vaswani et al.: waves of many lengths, added at the input.

        x[b, t, 2 i]     + sin(positions[t] / max_wavelength^(2 i / D))
        x[b, t, 2 i + 1] + cos(positions[t] / max_wavelength^(2 i / D))

    There are no weights, and a position may be as large as one likes. The paper multiplies the
    embedding with sqrt(D) before: that is for the model to do.

    Args:
        max_wavelength: Length of the slowest wave, over 2 pi, in tokens. Above 1.

    Call arguments:
        x: float [B, T, D].
        positions: int [T], in tokens. By default 0..T-1.

    Returns:
        float [B, T, D].

    Raises:
        ValueError: If `max_wavelength` is not above 1.

    Example:
        >>> attnzoo.layers.SinusoidalPosition()(x).shape  # B=2, T=3, D=5
        (2, 3, 5)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.5.
    """

    at_input = True

    def __init__(self, *, max_wavelength: float = 10000.0, **kwargs):
        super().__init__(**kwargs)
        check_above(1, max_wavelength=max_wavelength)
        self.max_wavelength = max_wavelength

    def embed(self, x, positions):
        width = x.shape[-1]
        angles = position_angles(positions, width, self.max_wavelength)  # [T, ceil(D / 2)]
        waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # [T, ceil(D / 2), 2]
        waves = ops.reshape(waves, (-1, 2 * angles.shape[-1]))[:, :width]  # [T, D]
        return x + ops.cast(waves, x.dtype)

    def get_config(self):
        return {**super().get_config(), "max_wavelength": self.max_wavelength}

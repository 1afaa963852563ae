"""Channel attention of super-resolution networks: a gate for each channel of an image."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.dense import apply_dense


@keras.saving.register_keras_serializable(package="attnzoo")
class ChannelAttention(SpecLayer):
    """Channel attention: what an image holds on average opens and closes its channels.

        pooled[b, c] = mean over h, w of inputs[b, h, w, c]
        gates[b]     = sigmoid(E relu(S pooled[b] + s) + e)
        output       = gates * inputs

    Args:
        squeeze_factor: How many times fewer features lie between S and E than there are channels.
            At least 1.

    Call arguments:
        inputs: float [B, H, W, C].
        pooled: float [B, C], in place of the mean of `inputs`: that of the whole image that they
            are a part of.
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the gates, float
        [B, C], in (0, 1).

    Raises:
        ValueError: If `squeeze_factor` is below 1 or above the number of channels.

    Example:
        >>> attention = attnzoo.layers.ChannelAttention(squeeze_factor=2)
        >>> outputs, gates = attention(inputs, return_alignments=True)
        >>> outputs.shape, gates.shape  # B=2, H=5, W=7, C=6
        ((2, 5, 7, 6), (2, 6))

    References:
        [Zhang et al., 2018](https://arxiv.org/abs/1807.02758), section 3.3.
    """

    def __init__(self, squeeze_factor: int = 16, **kwargs):
        super().__init__(**kwargs)
        check_positive(squeeze_factor=squeeze_factor)
        self.squeeze_factor = squeeze_factor

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        squeezed = channels // self.squeeze_factor
        if not squeezed:
            raise ValueError(
                "`squeeze_factor` must be at most the number of channels. "
                f"Received: squeeze_factor={self.squeeze_factor}, channels={channels}"
            )
        self.squeeze_dense = self._dense("squeeze", squeezed, "relu")
        self.expand_dense = self._dense("expand", channels, "sigmoid")
        self.squeeze_dense.build((None, channels))
        self.expand_dense.build((None, squeezed))
        self.built = True

    def gates(self, pooled):
        """Return the gates float [B, C] for the means of channels, float [B, C]."""
        return apply_dense(self.expand_dense, apply_dense(self.squeeze_dense, pooled))

    def call(self, inputs, pooled=None, return_alignments: bool = False):
        gates = self.gates(ops.mean(inputs, axis=(1, 2)) if pooled is None else pooled)
        outputs = gates[:, None, None] * inputs
        return (outputs, gates) if return_alignments else outputs

    def compute_output_spec(self, inputs, pooled=None, return_alignments: bool = False):
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        gates = keras.KerasTensor((inputs.shape[0], inputs.shape[-1]), dtype=self.compute_dtype)
        return (outputs, gates) if return_alignments else outputs

    def get_config(self):
        return {**super().get_config(), "squeeze_factor": self.squeeze_factor}

    def _dense(self, name, units, activation):
        return keras.layers.Dense(units, activation=activation, dtype=self.dtype_policy, name=name)

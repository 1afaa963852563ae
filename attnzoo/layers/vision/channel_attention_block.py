"""Channel attention block: two convolutions, then a gate for each channel."""

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.vision.channel_attention import ChannelAttention


@keras.saving.register_keras_serializable(package="attnzoo")
class ChannelAttentionBlock(SpecLayer):
    """The convolutional branch of a hybrid attention block.

        convolved = V * gelu(U * inputs + u) + v          3 x 3, zeros beyond the image
        output    = ChannelAttention(convolved)

    U leaves C // compress_ratio channels, V gives C again. The gelu is exact, not its tanh
    approximation.

    Args:
        compress_ratio: How many times fewer channels lie between the convolutions. At least 1.
        squeeze_factor: As in `ChannelAttention`.

    Call arguments:
        inputs: float [B, H, W, C].
        pooled: float [B, C], in place of the mean of `convolved`: see `ChannelAttention`.
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the gates, float
        [B, C], in (0, 1).

    Raises:
        ValueError: If a number is below 1 or above the number of channels.

    Example:
        >>> block = attnzoo.layers.ChannelAttentionBlock(compress_ratio=3, squeeze_factor=2)
        >>> block(inputs).shape  # B=2, H=5, W=7, C=6
        (2, 5, 7, 6)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.2.
    """

    def __init__(self, compress_ratio: int = 3, *, squeeze_factor: int = 30, **kwargs):
        super().__init__(**kwargs)
        check_positive(compress_ratio=compress_ratio, squeeze_factor=squeeze_factor)
        self.compress_ratio = compress_ratio
        self.squeeze_factor = squeeze_factor
        self.channel_attention = ChannelAttention(
            squeeze_factor, dtype=self.dtype_policy, name="channel_attention"
        )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        compressed = channels // self.compress_ratio
        if not compressed:
            raise ValueError(
                "`compress_ratio` must be at most the number of channels. "
                f"Received: compress_ratio={self.compress_ratio}, channels={channels}"
            )
        self.compress_conv = self._conv("compress", compressed, keras.activations.gelu)
        self.expand_conv = self._conv("expand", channels, None)
        self.compress_conv.build((*inputs_shape[:-1], channels))
        self.expand_conv.build((*inputs_shape[:-1], compressed))
        self.channel_attention.build(inputs_shape)
        self.built = True

    def convolve(self, inputs):
        """Return the convolved image float [B, H, W, C], without gates."""
        return self.expand_conv(self.compress_conv(inputs))

    def call(self, inputs, pooled=None, return_alignments: bool = False):
        return self.channel_attention(
            self.convolve(inputs), pooled, return_alignments=return_alignments
        )

    def compute_output_spec(self, inputs, pooled=None, return_alignments: bool = False):
        return self.channel_attention.compute_output_spec(inputs, pooled, return_alignments)

    def get_config(self):
        return {
            **super().get_config(),
            "compress_ratio": self.compress_ratio,
            "squeeze_factor": self.squeeze_factor,
        }

    def _conv(self, name, filters, activation):
        return keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            data_format="channels_last",
            activation=activation,
            dtype=self.dtype_policy,
            name=name,
        )

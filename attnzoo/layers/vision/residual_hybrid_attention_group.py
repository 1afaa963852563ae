"""Residual hybrid attention group: blocks of HAT in a row, a convolution, and a shortcut."""

from collections.abc import Sequence

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.vision.hybrid_attention_block import HybridAttentionBlock
from attnzoo.layers.vision.overlapping_cross_attention_block import OverlappingCrossAttentionBlock


@keras.saving.register_keras_serializable(package="attnzoo")
class ResidualHybridAttentionGroup(SpecLayer):
    """A group of the Hybrid Attention Transformer (HAT).

        y_0    = x
        y_i    = HybridAttentionBlock(y_(i-1))             i = 1..num_blocks; each second is shifted
        output = x + V * OverlappingCrossAttentionBlock(y_num_blocks) + v

    by half a window. The convolution V is 3 x 3 with zeros beyond the image.

    Args:
        num_blocks: Number of hybrid attention blocks. At least 1.
        num_heads: N, of all attentions. It divides the channels.
        window_size: M, height and width of a window, in pixels. At least 1.
        overlap_ratio: As in `OverlappingCrossAttention`.
        feed_forward_dim: Width of the feed-forwards' hidden layers; twice the channels if None.
        compress_ratio: As in `ChannelAttentionBlock`.
        squeeze_factor: As in `ChannelAttention`.
        convolution_scale: As in `HybridAttentionBlock`.
        stochastic_depth: As in `HybridAttentionBlock`: one rate, or a list of one for each.
        epsilon: Added to the variances of the norms.

    Call arguments:
        x: float [B, H, W, C]. H and W are multiples of M.
        return_alignments: Whether to return the alignments too.
        training: Whether stochastic depth is on.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and a list of the
        alignments of all blocks in their order, the overlapping one's last.

    Raises:
        ValueError: As in `HybridAttentionBlock` and `OverlappingCrossAttention`, or if there is not
            one rate for each block.

    Example:
        >>> group = attnzoo.layers.ResidualHybridAttentionGroup(
        ...     num_blocks=2, num_heads=2, window_size=4, squeeze_factor=2)
        >>> group(x).shape  # B=2, H=8, W=12, C=6
        (2, 8, 12, 6)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.1.
    """

    def __init__(
        self,
        num_blocks: int,
        num_heads: int,
        window_size: int = 16,
        *,
        overlap_ratio: float = 0.5,
        feed_forward_dim: int | None = None,
        compress_ratio: int = 3,
        squeeze_factor: int = 30,
        convolution_scale: float = 0.01,
        stochastic_depth: float | Sequence[float] = 0.0,
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_blocks=num_blocks)
        if isinstance(stochastic_depth, Sequence):
            rates = [*stochastic_depth]
        else:
            rates = [stochastic_depth] * num_blocks
        if len(rates) != num_blocks:
            raise ValueError(
                "`stochastic_depth` must be one rate, or one for each of `num_blocks`. "
                f"Received: stochastic_depth={stochastic_depth}, num_blocks={num_blocks}"
            )
        self.num_blocks = num_blocks
        self.stochastic_depth = stochastic_depth
        arguments = {
            "num_heads": num_heads,
            "window_size": window_size,
            "feed_forward_dim": feed_forward_dim,
            "epsilon": epsilon,
            "dtype": self.dtype_policy,
        }
        self.blocks = [
            HybridAttentionBlock(
                shift=window_size // 2 if place % 2 else 0,
                compress_ratio=compress_ratio,
                squeeze_factor=squeeze_factor,
                convolution_scale=convolution_scale,
                stochastic_depth=rate,
                name=f"block_{place}",
                **arguments,
            )
            for place, rate in enumerate(rates)
        ]
        self.overlapping_block = OverlappingCrossAttentionBlock(
            overlap_ratio=overlap_ratio, name="overlapping_block", **arguments
        )

    def build(self, x_shape):
        self.output_conv = keras.layers.Conv2D(
            x_shape[-1],
            3,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="output_conv",
        )
        for layer in (*self.blocks, self.overlapping_block, self.output_conv):
            layer.build(x_shape)
        self.built = True

    def call(self, x, return_alignments: bool = False, training: bool = False):
        y, all_alignments = x, []
        for block in (*self.blocks, self.overlapping_block):
            arguments = {"training": training} if block in self.blocks else {}
            y = block(y, return_alignments=return_alignments, **arguments)
            if return_alignments:
                y, alignments = y
                all_alignments.append(alignments)
        outputs = x + self.output_conv(y)
        return (outputs, all_alignments) if return_alignments else outputs

    def compute_output_spec(self, x, return_alignments: bool = False, training: bool = False):
        layers = (*self.blocks, self.overlapping_block)
        specs = [layer.compute_output_spec(x, return_alignments=True) for layer in layers]
        return (specs[0][0], [spec[1] for spec in specs]) if return_alignments else specs[0][0]

    def get_config(self):
        config = self.blocks[0].get_config()
        names = (
            "num_heads",
            "window_size",
            "feed_forward_dim",
            "compress_ratio",
            "squeeze_factor",
            "convolution_scale",
            "epsilon",
        )
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "overlap_ratio": self.overlapping_block.cross_attention.overlap_ratio,
            "stochastic_depth": self.stochastic_depth,
            **{name: config[name] for name in names},
        }

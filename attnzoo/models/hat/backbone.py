"""The backbone: a convolution, groups of hybrid attention blocks, a convolution, a shortcut."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers import ResidualHybridAttentionGroup
from attnzoo.models.hat.images import PadToWindows, SubtractMean
from attnzoo.models.parts.backbone import Backbone

# Mean of the training images of DIV2K, which the paper's code subtracts.
RGB_MEAN = (0.4488, 0.4371, 0.4040)


@keras.saving.register_keras_serializable(package="attnzoo")
class HATBackbone(Backbone):
    """Hybrid Attention Transformer: features of every pixel of an image.

        shallow = V * (image - mean) + v
        deep    = LayerNorm(groups of LayerNorm(shallow))
        output  = shallow + W * deep + w

    An image of any size is first extended at the bottom and the right, by reflection, to whole
    windows. The paper's models:

    | model | hidden_dim | depths | compress_ratio | squeeze_factor | convolution_scale |
    | --- | --- | --- | --- | --- | --- |
    | HAT-S | 144 | 6 of 6 | 24 | 24 | 0.01 |
    | HAT | 180 | 6 of 6 | 3 | 30 | 0.01 |
    | HAT-L | 180 | 12 of 6 | 3 | 30 | 0.01 |

    Args:
        hidden_dim: C, the width of the residual stream, in features. A multiple of `num_heads`.
        depths: Number of hybrid attention blocks of each group.
        num_heads: N, of all attentions.
        window_size: M, height and width of a window, in pixels.
        overlap_ratio: As in `attnzoo.layers.OverlappingCrossAttention`.
        feed_forward_dim: Width of the feed-forwards' hidden layers; twice `hidden_dim` if None.
        compress_ratio: As in `attnzoo.layers.ChannelAttentionBlock`.
        squeeze_factor: As in `attnzoo.layers.ChannelAttention`.
        convolution_scale: As in `attnzoo.layers.HybridAttentionBlock`.
        stochastic_depth: Probability of dropping a branch in training in the last block; it grows
            from 0 in the first. In [0, 1).
        num_channels: Channels of an image; 3 for colour, 1 for grey.
        image_mean: Mean of each channel, which is subtracted; that of DIV2K if None, and 0 if there
            are not 3 channels.
        dtype: Dtype or policy of the layers.

    Call arguments:
        float [B, H, W, num_channels]. Images, with values in 0..1.

    Returns:
        float [B, H', W', C]. H' and W' are H and W rounded up to whole windows.

    Raises:
        ValueError: If a number is out of range, heads do not divide, or there is not one mean for
            each channel.

    Example:
        >>> backbone = attnzoo.models.HATBackbone(24, [2, 2], num_heads=3, window_size=4)
        >>> backbone(images).shape  # B=2, H=7, W=9
        (2, 8, 12, 24)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.
        [Chen et al., 2023](https://arxiv.org/abs/2309.05239).
    """

    def __init__(
        self,
        hidden_dim: int = 180,
        depths: Sequence[int] = (6,) * 6,
        *,
        num_heads: int = 6,
        window_size: int = 16,
        overlap_ratio: float = 0.5,
        feed_forward_dim: int | None = None,
        compress_ratio: int = 3,
        squeeze_factor: int = 30,
        convolution_scale: float = 0.01,
        stochastic_depth: float = 0.1,
        num_channels: int = 3,
        image_mean: Sequence[float] | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(hidden_dim=hidden_dim, num_channels=num_channels)
        check_rate(stochastic_depth=stochastic_depth)
        if not depths:
            raise ValueError(f"`depths` must have one number or more. Received: depths={depths}")
        if image_mean is None:
            image_mean = RGB_MEAN if num_channels == 3 else (0.0,) * num_channels
        if len(image_mean) != num_channels:
            raise ValueError(
                "`image_mean` must have one number for each channel. "
                f"Received: image_mean={image_mean}, num_channels={num_channels}"
            )

        # === Layers ===
        self.padding = PadToWindows(window_size, dtype=dtype, name="padding")
        self.normalization = SubtractMean([*image_mean], dtype=dtype, name="normalization")
        self.first_conv = _conv(hidden_dim, dtype, "first_conv")
        self.first_norm = _norm(dtype, "first_norm")
        self.groups = _make_groups(
            depths,
            stochastic_depth,
            num_heads=num_heads,
            window_size=window_size,
            overlap_ratio=overlap_ratio,
            feed_forward_dim=feed_forward_dim,
            compress_ratio=compress_ratio,
            squeeze_factor=squeeze_factor,
            convolution_scale=convolution_scale,
            dtype=dtype,
        )
        self.last_norm = _norm(dtype, "last_norm")
        self.last_conv = _conv(hidden_dim, dtype, "last_conv")

        # === Functional Model ===
        images = keras.Input((None, None, num_channels), name="images")
        shallow = self.embed(self.padding(images))
        x = self.first_norm(shallow)
        for group in self.groups:
            x = group(x)
        outputs = self.join(shallow, x)
        super().__init__(inputs=images, outputs=outputs, dtype=dtype, **kwargs)

        # === Config ===
        self.depths, self.image_mean = [*depths], [*image_mean]
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.window_size = window_size
        self.overlap_ratio = overlap_ratio
        self.feed_forward_dim = feed_forward_dim
        self.compress_ratio = compress_ratio
        self.squeeze_factor = squeeze_factor
        self.convolution_scale = convolution_scale
        self.stochastic_depth = stochastic_depth
        self.num_channels = num_channels

    def embed(self, images):
        """Return the shallow features float [B, H, W, C] of images float [B, H, W, channels]."""
        return self.first_conv(self.normalization(images))

    def join(self, shallow, x):
        """Return the features of the shallow ones and the groups' output, all [B, H, W, C]."""
        return shallow + self.last_conv(self.last_norm(x))

    def get_config(self):
        names = (
            "hidden_dim",
            "depths",
            "num_heads",
            "window_size",
            "overlap_ratio",
            "feed_forward_dim",
            "compress_ratio",
            "squeeze_factor",
            "convolution_scale",
            "stochastic_depth",
            "num_channels",
            "image_mean",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _make_groups(depths, stochastic_depth, **arguments):
    """Return the groups, with a rate that grows from 0 over all blocks."""
    rates = np.linspace(0.0, stochastic_depth, sum(depths)).tolist()
    groups = []
    for place, depth in enumerate(depths):
        own, rates = rates[:depth], rates[depth:]
        group = ResidualHybridAttentionGroup(
            depth, stochastic_depth=own, name=f"group_{place}", **arguments
        )
        groups.append(group)
    return groups


def _conv(filters, dtype, name):
    return keras.layers.Conv2D(
        filters, 3, padding="same", data_format="channels_last", dtype=dtype, name=name
    )


def _norm(dtype, name):
    return keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name=name)

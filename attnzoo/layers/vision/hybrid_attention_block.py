"""Hybrid attention block: window attention and channel attention side by side."""

import keras

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.stochastic_depth import drop_branches
from attnzoo.layers.transformer.feed_forward import FeedForward
from attnzoo.layers.vision.channel_attention_block import ChannelAttentionBlock
from attnzoo.layers.vision.window_attention import WindowAttention


@keras.saving.register_keras_serializable(package="attnzoo")
class HybridAttentionBlock(SpecLayer):
    """The block of the Hybrid Attention Transformer (HAT).

        n      = LayerNorm(x)
        m      = x + WindowAttention(n) + convolution_scale * ChannelAttentionBlock(n)
        output = m + FeedForward(LayerNorm(m))             with the exact gelu

    Stochastic depth, as in the paper's code, drops the attention and the feed-forward of an
    example, and never the convolutions.

    Args:
        num_heads: N. It divides the channels.
        window_size: M, height and width of a window, in pixels. At least 1.
        shift: Shift of the windows, in pixels, in 0..window_size - 1.
        feed_forward_dim: Width of the feed-forward's hidden layer; twice the channels if None.
        compress_ratio: As in `ChannelAttentionBlock`.
        squeeze_factor: As in `ChannelAttention`.
        convolution_scale: Weight of the convolutions' branch.
        stochastic_depth: Probability of dropping a branch in training. In [0, 1).
        epsilon: Added to the variances of the norms.

    Call arguments:
        x: float [B, H, W, C]. H and W are multiples of M.
        pooled: float [B, C], or None. The mean over pixels of what `convolve` gives for the whole
            image that x is a part of.
        return_alignments: Whether to return the alignments too.
        training: Whether stochastic depth is on.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments of
        `WindowAttention`.

    Raises:
        ValueError: If a number is out of range, `num_heads` does not divide the channels, or x is
            not whole windows.

    Example:
        >>> block = attnzoo.layers.HybridAttentionBlock(
        ...     num_heads=2, window_size=4, compress_ratio=3, squeeze_factor=2)
        >>> block(x).shape  # B=2, H=8, W=12, C=6
        (2, 8, 12, 6)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.2 and equation 3.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int = 16,
        *,
        shift: int = 0,
        feed_forward_dim: int | None = None,
        compress_ratio: int = 3,
        squeeze_factor: int = 30,
        convolution_scale: float = 0.01,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(stochastic_depth=stochastic_depth)
        if feed_forward_dim is not None:
            check_positive(feed_forward_dim=feed_forward_dim)
        policy = self.dtype_policy
        self.window_attention = WindowAttention(
            num_heads, window_size, shift=shift, dtype=policy, name="window_attention"
        )
        self.convolutions = ChannelAttentionBlock(
            compress_ratio, squeeze_factor=squeeze_factor, dtype=policy, name="convolutions"
        )
        self.attention_norm, self.feed_forward_norm = (
            keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name=name)
            for name in ("attention_norm", "feed_forward_norm")
        )
        self.feed_forward_dim = feed_forward_dim
        self.convolution_scale = convolution_scale
        self.stochastic_depth = stochastic_depth
        self.epsilon = epsilon
        self.seed_generator = keras.random.SeedGenerator() if stochastic_depth else None

    def build(self, x_shape):
        hidden_dim = self.feed_forward_dim or 2 * x_shape[-1]
        self.feed_forward = FeedForward(
            hidden_dim, activation="gelu", dtype=self.dtype_policy, name="feed_forward"
        )
        for layer in (
            self.attention_norm,
            self.window_attention,
            self.convolutions,
            self.feed_forward_norm,
            self.feed_forward,
        ):
            layer.build(x_shape)
        self.built = True

    def convolve(self, x):
        """Return the convolved image, before its gates, float [B, H, W, C]."""
        return self.convolutions.convolve(self.attention_norm(x))

    def call(self, x, pooled=None, return_alignments: bool = False, training: bool = False):
        normed = self.attention_norm(x)
        attended = self.window_attention(normed, return_alignments=return_alignments)
        attended, *alignments = attended if return_alignments else (attended,)
        convolved = self.convolutions(normed, pooled)
        x = x + self._drop(attended, training) + self.convolution_scale * convolved
        x = x + self._drop(self.feed_forward(self.feed_forward_norm(x)), training)
        return (x, *alignments) if return_alignments else x

    def compute_output_spec(
        self, x, pooled=None, return_alignments: bool = False, training: bool = False
    ):
        return self.window_attention.compute_output_spec(x, return_alignments)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.window_attention.num_heads,
            "window_size": self.window_attention.window_size,
            "shift": self.window_attention.shift,
            "feed_forward_dim": self.feed_forward_dim,
            "compress_ratio": self.convolutions.compress_ratio,
            "squeeze_factor": self.convolutions.squeeze_factor,
            "convolution_scale": self.convolution_scale,
            "stochastic_depth": self.stochastic_depth,
            "epsilon": self.epsilon,
        }

    def _drop(self, added, training):
        if not (training and self.stochastic_depth):
            return added
        return drop_branches(added, self.stochastic_depth, self.seed_generator)

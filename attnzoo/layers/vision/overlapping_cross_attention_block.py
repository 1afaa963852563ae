"""Overlapping cross-attention block: the last block of a residual hybrid attention group."""

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.transformer.feed_forward import FeedForward
from attnzoo.layers.vision.overlapping_cross_attention import OverlappingCrossAttention


@keras.saving.register_keras_serializable(package="attnzoo")
class OverlappingCrossAttentionBlock(SpecLayer):
    """Overlapping cross-attention, then feed-forward, each around a residual stream.

        m      = x + OverlappingCrossAttention(LayerNorm(x))
        output = m + FeedForward(LayerNorm(m))             with the exact gelu

    Args:
        num_heads: N. It divides the channels.
        window_size: M, height and width of a query's window, in pixels. At least 1.
        overlap_ratio: As in `OverlappingCrossAttention`.
        feed_forward_dim: Width of the feed-forward's hidden layer; twice the channels if None.
        epsilon: Added to the variances of the norms.

    Call arguments:
        x: float [B, H, W, C]. H and W are multiples of M.
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments of
        `OverlappingCrossAttention`.

    Raises:
        ValueError: As in `OverlappingCrossAttention`, or if `feed_forward_dim` < 1.

    Example:
        >>> block = attnzoo.layers.OverlappingCrossAttentionBlock(num_heads=2, window_size=4)
        >>> block(x).shape  # B=2, H=8, W=12, C=6
        (2, 8, 12, 6)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.3.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int = 16,
        *,
        overlap_ratio: float = 0.5,
        feed_forward_dim: int | None = None,
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if feed_forward_dim is not None:
            check_positive(feed_forward_dim=feed_forward_dim)
        policy = self.dtype_policy
        self.cross_attention = OverlappingCrossAttention(
            num_heads,
            window_size,
            overlap_ratio=overlap_ratio,
            dtype=policy,
            name="cross_attention",
        )
        self.attention_norm, self.feed_forward_norm = (
            keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name=name)
            for name in ("attention_norm", "feed_forward_norm")
        )
        self.feed_forward_dim = feed_forward_dim
        self.epsilon = epsilon

    def build(self, x_shape):
        hidden_dim = self.feed_forward_dim or 2 * x_shape[-1]
        self.feed_forward = FeedForward(
            hidden_dim, activation="gelu", dtype=self.dtype_policy, name="feed_forward"
        )
        for layer in (
            self.attention_norm,
            self.cross_attention,
            self.feed_forward_norm,
            self.feed_forward,
        ):
            layer.build(x_shape)
        self.built = True

    def call(self, x, return_alignments: bool = False):
        attended = self.cross_attention(self.attention_norm(x), return_alignments=return_alignments)
        attended, *alignments = attended if return_alignments else (attended,)
        x = x + attended
        x = x + self.feed_forward(self.feed_forward_norm(x))
        return (x, *alignments) if return_alignments else x

    def compute_output_spec(self, x, return_alignments: bool = False):
        return self.cross_attention.compute_output_spec(x, return_alignments)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.cross_attention.num_heads,
            "window_size": self.cross_attention.window_size,
            "overlap_ratio": self.cross_attention.overlap_ratio,
            "feed_forward_dim": self.feed_forward_dim,
            "epsilon": self.epsilon,
        }

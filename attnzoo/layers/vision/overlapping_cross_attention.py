"""Overlapping cross-attention: a window's pixels attend to a larger window around it."""

import keras
from keras import ops

from attnzoo.checks import check_at_least
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.window_heads import WindowHeads
from attnzoo.ops.image_windows import (
    overlapping_relative_places,
    partition_overlapping_windows,
    partition_windows,
)


@keras.saving.register_keras_serializable(package="attnzoo")
class OverlappingCrossAttention(WindowHeads):
    """Multi-head attention from the windows of an image to larger windows around them.

        query               = a projection of inputs, in windows of M x M pixels
        key, value          = two projections of inputs, in windows of Mo x Mo pixels around them
        scores[n, t, s]     = query[n, t] · key[n, s] / sqrt(d) + table[offset(t, s), n]
        alignments          = softmax over s of scores
        output              = O [sum over s of alignments[n, t, s] value[n, s], for all n]

    with Mo = M + 2 floor(overlap_ratio M / 2). Beyond the image key and value are zeros after the
    projection, and no mask hides them: they take weight, as in the paper's code. Some offsets are
    negative; these count from the end of the table of (M + Mo - 1)^2 rows, as there.

    Args:
        num_heads: N. It divides the channels.
        window_size: M, height and width of a query's window, in pixels. At least 1.
        overlap_ratio: How much larger the keys' window is, as a share of M. In 0..2;
            `overlap_ratio * M`, rounded down, must be even.
        use_bias: Whether the projections of query, key and value have biases.

    Call arguments:
        inputs: float [B, H, W, C]. H and W are multiples of M.
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments, float
        [B, H W / M^2, N, M^2, Mo^2], windows by rows.

    Raises:
        ValueError: If a size is below 1, `overlap_ratio` is out of range or makes an odd number of
            pixels, `num_heads` does not divide the channels, or `inputs` are not whole windows.

    Example:
        >>> attention = attnzoo.layers.OverlappingCrossAttention(num_heads=2, window_size=4)
        >>> attention(inputs, return_alignments=True)[1].shape  # B=2, H=8, W=12, C=6
        (2, 6, 2, 16, 36)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.3.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int,
        *,
        overlap_ratio: float = 0.5,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(num_heads, window_size, use_bias=use_bias, **kwargs)
        check_at_least(0, overlap_ratio=overlap_ratio)
        overlap = int(overlap_ratio * window_size)
        if overlap_ratio > 2 or overlap % 2:
            raise ValueError(
                "`overlap_ratio` must be at most 2, and `int(overlap_ratio * window_size)` even: "
                "half of it lies on each side. "
                f"Received: overlap_ratio={overlap_ratio}, window_size={window_size}"
            )
        self.overlap_ratio = overlap_ratio
        self.margin = overlap // 2
        self.places = overlapping_relative_places(window_size, window_size + overlap)
        self.table_rows = (2 * window_size + overlap - 1) ** 2

    def call(self, inputs, return_alignments: bool = False):
        self.check_images(inputs)
        channels = inputs.shape[-1]
        projected = apply_dense(self.qkv_dense, inputs)  # [B, H, W, 3 C]
        query = partition_windows(projected[..., :channels], self.window_size)
        key_value = partition_overlapping_windows(
            projected[..., channels:], self.window_size, self.margin
        )
        (query,) = self.split_heads(query, 1)
        key, value = self.split_heads(key_value, 2)
        shape = ops.shape(inputs)[:3]
        return self.attend(query, key, value, shape, return_alignments=return_alignments)

    def get_config(self):
        return {**super().get_config(), "overlap_ratio": self.overlap_ratio}

"""Window attention: every pixel attends to the window that it lies in."""

import keras
from keras import ops

from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.window_heads import WindowHeads
from attnzoo.ops.image_windows import partition_windows, relative_places, shifted_window_mask


@keras.saving.register_keras_serializable(package="attnzoo")
class WindowAttention(WindowHeads):
    """Multi-head self-attention within the windows of an image, which may be shifted.

        query, key, value   = three projections of inputs, in windows of M x M pixels
        scores[n, t, s]     = query[n, t] · key[n, s] / sqrt(d) + table[offset(t, s), n]
        alignments          = softmax over s of scores
        output              = O [sum over s of alignments[n, t, s] value[n, s], for all n]

    The table has a row for each of the (2 M - 1)^2 offsets between two pixels of a window; all
    windows share it. With `shift` the image is rolled up and left by `shift` pixels before, and
    back after. Pixels that the roll alone made neighbours do not attend to each other.

    Args:
        num_heads: N. It divides the channels.
        window_size: M, height and width of a window, in pixels. At least 1.
        shift: In pixels, in 0..window_size - 1.
        use_bias: Whether the projections of query, key and value have biases.

    Call arguments:
        inputs: float [B, H, W, C]. H and W are multiples of M.
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments, float
        [B, H W / M^2, N, M^2, M^2], of the windows of the rolled image by rows.

    Raises:
        ValueError: If a size is below 1, `shift` is no place of a window, `num_heads` does not
            divide the channels, or `inputs` are not whole windows.

    Example:
        >>> attention = attnzoo.layers.WindowAttention(num_heads=2, window_size=4, shift=2)
        >>> attention(inputs).shape  # B=2, H=8, W=12, C=6
        (2, 8, 12, 6)

    References:
        [Liu et al., 2021](https://arxiv.org/abs/2103.14030), section 3.2.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int,
        *,
        shift: int = 0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(num_heads, window_size, use_bias=use_bias, **kwargs)
        if not 0 <= shift < window_size:
            raise ValueError(
                "`shift` must be in 0..window_size - 1. "
                f"Received: shift={shift}, window_size={window_size}"
            )
        self.shift = shift
        self.places = relative_places(window_size)
        self.table_rows = (2 * window_size - 1) ** 2

    def call(self, inputs, return_alignments: bool = False):
        self.check_images(inputs)
        shape = ops.shape(inputs)[:3]
        size, shift, mask = self.window_size, self.shift, None
        if shift:
            inputs = ops.roll(inputs, (-shift, -shift), axis=(1, 2))
            mask = shifted_window_mask(shape[1], shape[2], size, shift)
        projected = apply_dense(self.qkv_dense, partition_windows(inputs, size))
        query, key, value = self.split_heads(projected, 3)
        outputs = self.attend(query, key, value, shape, mask, return_alignments)
        outputs, *alignments = outputs if return_alignments else (outputs,)
        if shift:
            outputs = ops.roll(outputs, (shift, shift), axis=(1, 2))
        return (outputs, *alignments) if return_alignments else outputs

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}

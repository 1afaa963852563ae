"""Multi-head attention within windows of an image, with a bias for each relative place."""

import keras
import numpy as np
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.dense import apply_dense
from attnzoo.ops.image_windows import merge_windows
from attnzoo.ops.window_attention import align_windows, attend_in_windows


class WindowHeads(SpecLayer):
    """Base of the attentions within windows: projections, bias table, and all heads at once.

    A subclass has `places`, the row of the bias table for each pair of query and key, int NumPy
    [T, S], and `table_rows`.
    """

    places: np.ndarray
    table_rows: int

    def __init__(self, num_heads: int, window_size: int, *, use_bias: bool, **kwargs):
        check_positive(num_heads=num_heads, window_size=window_size)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.window_size = window_size
        self.use_bias = use_bias

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        if channels % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the channels. "
                f"Received: num_heads={self.num_heads}, channels={channels}"
            )
        self.qkv_dense = self._dense("query_key_value", 3 * channels, self.use_bias)
        self.output_dense = self._dense("attention_output", channels, True)
        for dense in (self.qkv_dense, self.output_dense):
            dense.build((None, channels))
        self.bias_table = self.add_weight(
            shape=(self.table_rows, self.num_heads), initializer=_initializer(), name="bias_table"
        )
        self.built = True

    def attend(self, query, key, value, shape, mask=None, return_alignments: bool = False):
        """Attend within each window, put the windows back, and project.

        Args:
            query: float [B * Nw, N, T, d].
            key: float [B * Nw, N, S, d].
            value: float [B * Nw, N, S, d].
            shape: B, H and W of the images.
            mask: bool [Nw, T, S], or None. True = may attend.
            return_alignments: Whether to return the alignments too.

        Returns:
            float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments,
            float [B, Nw, N, T, S].
        """
        _, height, width = shape
        count = (height // self.window_size) * (width // self.window_size)  # Nw
        bias = ops.take(self.bias_table, self.places.reshape(-1), axis=0)
        bias = ops.reshape(ops.transpose(bias), (self.num_heads, *self.places.shape))  # [N, T, S]
        if return_alignments:
            alignments = align_windows(query, key, bias, mask)
            context = ops.matmul(alignments, ops.cast(value, alignments.dtype))
            alignments = ops.cast(alignments, self.compute_dtype)
            alignments = ops.reshape(alignments, (-1, count, *alignments.shape[1:]))
        else:
            context = attend_in_windows(query, key, value, bias, mask)
        context = ops.cast(context, self.compute_dtype)
        context = ops.transpose(context, (0, 2, 1, 3))  # [B Nw, T, N, d]
        context = ops.reshape(context, (-1, context.shape[1], self.output_dense.units))
        outputs = apply_dense(self.output_dense, context)
        outputs = merge_windows(outputs, height, width, self.window_size)
        return (outputs, alignments) if return_alignments else outputs

    def split_heads(self, rows, parts: int):
        """Split [R, T, parts * C] into `parts` tensors of heads [R, N, T, d]."""
        width = rows.shape[-1] // parts // self.num_heads
        heads = ops.reshape(rows, (-1, rows.shape[1], parts, self.num_heads, width))
        heads = ops.transpose(heads, (2, 0, 3, 1, 4))
        return [heads[part] for part in range(parts)]

    def check_images(self, inputs):
        """Raise unless `inputs` are whole windows, as far as their shape is known."""
        if len(inputs.shape) != 4:
            raise ValueError(
                "`inputs` must have rank 4, [batch, height, width, channels]. "
                f"Received: inputs.shape={tuple(inputs.shape)}"
            )
        sides = [side for side in inputs.shape[1:3] if isinstance(side, int)]
        if any(side % self.window_size for side in sides):
            raise ValueError(
                "Height and width of `inputs` must be multiples of `window_size`; pad it. "
                f"Received: inputs.shape={tuple(inputs.shape)}, window_size={self.window_size}"
            )

    def compute_output_spec(self, inputs, return_alignments: bool = False, **kwargs):
        self.check_images(inputs)
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if not return_alignments:
            return outputs
        height, width = inputs.shape[1:3]
        count = None
        if height is not None and width is not None:
            count = (height // self.window_size) * (width // self.window_size)
        shape = (inputs.shape[0], count, self.num_heads, *self.places.shape)
        return outputs, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "use_bias": self.use_bias,
        }

    def _dense(self, name, units, use_bias):
        return keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=_initializer(),
            dtype=self.dtype_policy,
            name=name,
        )


def _initializer():
    return keras.initializers.TruncatedNormal(stddev=0.02)

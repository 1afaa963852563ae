"""Convolutional block attention module: a gate of the channels, then one of the places."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.maps import MapLayer, check_map, largest, mean_of_map, to_places


@keras.saving.register_keras_serializable(package="attnzoo")
class CBAM(MapLayer):
    """Convolutional block attention module of Woo et al.

        channel[b] = sigmoid(W_1 ReLU(W_0 mean) + W_1 ReLU(W_0 maximum)),  both over places
        z          = channel x
        spatial[b] = sigmoid(F * [mean over c of z, maximum over c of z])
        outputs    = spatial z

    with F a convolution of `kernel_size` x `kernel_size`, zero beyond the map.

    Differs from the authors' code: F has no batch normalization, as in the paper.

    Args:
        reduction: C / r is the width of W_0's output, at least 1. At least 1.
        kernel_size: Side of F, in places, odd.
        use_bias: Whether W_0 and W_1 have biases; the paper's have none.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and a dict of the gates, in
        (0, 1): `"channel"` float [B, C] and `"spatial"` float [B, H, W].

    Raises:
        ValueError: If a size is below 1, or `kernel_size` even.

    Example:
        >>> outputs, gates = attnzoo.layers.CBAM(reduction=4)(inputs, return_alignments=True)
        >>> outputs.shape, gates["spatial"].shape  # B=2, H=3, W=5, C=8
        ((2, 3, 5, 8), (2, 3, 5))

    References:
        [Woo et al., 2018](https://arxiv.org/abs/1807.06521), equations 1 to 3.
    """

    def __init__(
        self,
        reduction: int = 16,
        *,
        kernel_size: int = 7,
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(reduction=reduction, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        self.reduction = reduction
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.convolution = keras.layers.Conv2D(
            1,
            kernel_size,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="spatial",
        )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        units = max(1, channels // self.reduction)
        self.hidden_dense = self._dense("hidden", units, "relu")
        self.gate_dense = self._dense("gate", channels)
        self.hidden_dense.build((None, channels))
        self.gate_dense.build((None, units))
        self.convolution.build((None, None, None, 2))
        self.built = True

    def channel_gate(self, inputs):
        """Return the gate of each channel, float [B, C], for a map [B, H, W, C]."""
        summaries = mean_of_map(inputs), largest(to_places(inputs), axis=1)[:, 0]
        logits = [apply_dense(self.gate_dense, self._hidden(one)) for one in summaries]
        return ops.sigmoid(logits[0] + logits[1])

    def spatial_gate(self, inputs):
        """Return the gate of each place, float [B, H, W], for a map [B, H, W, C]."""
        summaries = [ops.mean(inputs, axis=-1, keepdims=True), largest(inputs, axis=-1)]
        return ops.sigmoid(self.convolution(ops.concatenate(summaries, axis=-1)))[..., 0]

    def call(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        channel = self.channel_gate(inputs)
        gated = inputs * channel[:, None, None, :]
        spatial = self.spatial_gate(gated)
        outputs = gated * spatial[..., None]
        return (outputs, {"channel": channel, "spatial": spatial}) if return_alignments else outputs

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        return self.gated_spec(inputs, return_alignments)

    def get_config(self):
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
        }

    def _hidden(self, summary):
        return apply_dense(self.hidden_dense, summary)

    def _dense(self, name, units, activation=None):
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

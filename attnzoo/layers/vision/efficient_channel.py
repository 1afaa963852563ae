"""Efficient channel attention: each channel is gated by its neighbours' means."""

import math

import keras
from keras import ops

from attnzoo.checks import check_above, check_positive
from attnzoo.layers.vision.maps import ChannelGate, mean_of_map


@keras.saving.register_keras_serializable(package="attnzoo")
class EfficientChannelAttention(ChannelGate):
    """Efficient channel attention of Wang et al.

        outputs[b, h, w, c] = gates[b, c] inputs[b, h, w, c]
        gates[b, c] = sigmoid(sum over j of v[j] means[b, c + j - (k - 1) / 2])
        means[b, c] = mean over h and w of inputs[b, h, w, c], zero beyond the channels

    The k weights v are all that the layer has. k is the odd number next to
    t = (log2(C) + offset) / gamma, the whole part of t or one more, as in the authors' code.

    Args:
        kernel_size: k, odd; None for the rule above.
        gamma: Divisor in the rule. Above 0.
        offset: Number that is added in the rule, b in the paper.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the gates, float [B, C]
        in (0, 1).

    Raises:
        ValueError: If `kernel_size` is below 1 or even, or `gamma` not above 0.

    Example:
        >>> layer = attnzoo.layers.EfficientChannelAttention()
        >>> layer(inputs).shape, layer.count_params()  # B=2, H=3, W=5, C=64
        ((2, 3, 5, 64), 3)

    References:
        [Wang et al., 2020](https://arxiv.org/abs/1910.03151), equations 5, 9 and 12.
    """

    def __init__(
        self,
        kernel_size: int | None = None,
        *,
        gamma: float = 2.0,
        offset: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size is not None:
            check_positive(kernel_size=kernel_size)
            if kernel_size % 2 == 0:
                raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        check_above(0, gamma=gamma)
        self.kernel_size = kernel_size
        self.gamma = gamma
        self.offset = offset

    def build(self, inputs_shape):
        size = self.kernel_size
        if size is None:
            size = int(abs((math.log2(inputs_shape[-1]) + self.offset) / self.gamma))
            size += size % 2 == 0
        self.kernel = self.add_weight(
            shape=(size,), initializer=keras.initializers.RandomNormal(stddev=size**-0.5), name="v"
        )
        self.built = True

    def gate(self, inputs):
        means = mean_of_map(inputs)
        channels, size = means.shape[-1], self.kernel.shape[0]
        padded = ops.pad(means, ((0, 0), (size // 2, size // 2)))
        kernel = self.read(self.kernel)
        return ops.sigmoid(sum(kernel[j] * padded[:, j : j + channels] for j in range(size)))

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "gamma": self.gamma,
            "offset": self.offset,
        }

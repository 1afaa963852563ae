"""Squeeze-and-excitation: each channel is gated by what the means of all channels say."""

from collections.abc import Callable

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.maps import ChannelGate, mean_of_map


@keras.saving.register_keras_serializable(package="attnzoo")
class SqueezeExcitation(ChannelGate):
    """Squeeze-and-excitation of Hu et al.

        outputs[b, h, w, c] = gates[b, c] inputs[b, h, w, c]
        gates[b]            = sigmoid(W_2 activation(W_1 (mean over h and w of inputs[b, h, w])))

    Args:
        reduction: How much narrower the hidden layer is than the map. At least 1.
        divisor: The hidden layer's width is C / reduction, rounded to a multiple of this number,
            and at least it. At least 1.
        activation: A name that Keras knows, or a function.
        use_bias: Whether W_1 and W_2 have biases; the paper's have none.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the gates, float [B, C]
        in (0, 1).

    Raises:
        ValueError: If `reduction` or `divisor` is below 1.

    Example:
        >>> attnzoo.layers.SqueezeExcitation(reduction=4)(inputs).shape  # B=2, H=3, W=5, C=8
        (2, 3, 5, 8)

    References:
        [Hu et al., 2018](https://arxiv.org/abs/1709.01507), equations 2 to 4.
    """

    def __init__(
        self,
        reduction: int = 16,
        *,
        divisor: int = 1,
        activation: str | Callable = "relu",
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(reduction=reduction, divisor=divisor)
        self.reduction = reduction
        self.divisor = divisor
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        steps = int(channels / self.reduction / self.divisor + 0.5)
        units = self.divisor * max(1, steps)
        self.hidden_dense = self._dense("hidden", units, self.activation)
        self.gate_dense = self._dense("gate", channels, "sigmoid")
        self.hidden_dense.build((None, channels))
        self.gate_dense.build((None, units))
        self.built = True

    def gate(self, inputs):
        return apply_dense(self.gate_dense, apply_dense(self.hidden_dense, mean_of_map(inputs)))

    def get_config(self):
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "divisor": self.divisor,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }

    def _dense(self, name, units, activation):
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

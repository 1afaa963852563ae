"""Feed-forward."""

from collections.abc import Callable

import keras
from keras import ops

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers.dense import apply_dense

# Gated feed-forwards by name, and the activations of their gates.
GATES = {"glu": "sigmoid", "reglu": "relu", "geglu": "gelu", "swiglu": "silu"}


@keras.saving.register_keras_serializable(package="attnzoo")
class FeedForward(keras.layers.Layer):
    """Two linear layers, over each token alone; what lies between them may be gated.

        output[b, t] = O hidden[b, t] + o
        hidden[b, t] = activation(W x[b, t] + w)                         any activation
        hidden[b, t] = gate(G x[b, t] + g) * (W x[b, t] + w)             a gated one

    | activation | gate |
    | --- | --- |
    | `"glu"` | sigmoid |
    | `"reglu"` | max(., 0) |
    | `"geglu"` | gelu, exact and not its tanh approximation |
    | `"swiglu"` | silu: z sigmoid(z) |

    A gated one has three matrices instead of two: `hidden_dim` two thirds as large is as many
    weights. Normalization, residual and dropout around it are a block's.

    Differs from the papers: the gated ones have biases, unless `use_bias=False`, as in Shazeer's;
    dropout acts on the hidden features.

    Args:
        hidden_dim: Width U between the two layers, in features. At least 1.
        activation: A name that Keras knows, a function, or one of `"glu"`, `"reglu"`, `"geglu"`
            and `"swiglu"`.
        dropout: Probability of dropping a hidden feature. In [0, 1).
        use_bias: Whether o, w and g are there.

    Call arguments:
        x: float [..., D].
        training: Whether dropout is on.

    Returns:
        float [..., D].

    Raises:
        ValueError: If `hidden_dim` < 1, `dropout` is outside [0, 1), or Keras does not know the
            activation.

    Example:
        >>> attnzoo.layers.FeedForward(7, activation="swiglu")(x).shape  # B=2, T=3, D=5
        (2, 3, 5)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 2.
        [Dauphin et al., 2017](https://arxiv.org/abs/1612.08083), equation 1 (glu).
        [Shazeer, 2020](https://arxiv.org/abs/2002.05202), equations 5 and 6 (reglu, geglu, swiglu).
    """

    def __init__(
        self,
        hidden_dim: int,
        *,
        activation: str | Callable = "relu",
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(hidden_dim=hidden_dim)
        check_rate(dropout=dropout)
        self.hidden_dim = hidden_dim
        gate = GATES.get(activation) if isinstance(activation, str) else None
        self.gated = gate is not None
        self.activation = activation if self.gated else keras.activations.get(activation)
        self.dropout = dropout
        self.use_bias = use_bias
        self.supports_masking = True
        hidden_activation = None if self.gated else self.activation
        self.hidden_dense = self._dense("hidden", hidden_dim, hidden_activation)
        self.gate_dense = self._dense("gate", hidden_dim, gate) if self.gated else None
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.output_dense: keras.layers.Dense | None = None  # As wide as x is.

    def build(self, x_shape):
        width = x_shape[-1]
        self.hidden_dense.build((None, width))
        if self.gate_dense is not None:
            self.gate_dense.build((None, width))
        output_dense = self._dense("output", width)
        output_dense.build((None, self.hidden_dim))
        self.output_dense = output_dense
        self.built = True

    def call(self, x, training: bool = False):
        rows = ops.reshape(x, (-1, x.shape[-1]))  # One matrix for all that follows.
        hidden = apply_dense(self.hidden_dense, rows)  # [B T, U]
        if self.gated:
            hidden = apply_dense(self.gate_dense, rows) * hidden
        outputs = apply_dense(self.output_dense, self.dropout_layer(hidden, training=training))
        return ops.reshape(outputs, ops.shape(x))

    def compute_output_shape(self, x_shape):
        return x_shape

    def get_config(self):
        activation = self.activation
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "activation": activation if self.gated else keras.activations.serialize(activation),
            "dropout": self.dropout,
            "use_bias": self.use_bias,
        }

    def _dense(self, name: str, units: int, activation=None):
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=self.use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

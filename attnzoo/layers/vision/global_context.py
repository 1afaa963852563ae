"""Global context: one attention over all places, whose context is added to each."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.maps import MapLayer, check_map, to_places
from attnzoo.ops import linear, masked_softmax, weighted_sum

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="attnzoo")
class GlobalContext(MapLayer):
    """Global context block of Cao et al.: a non-local block with one query for all places.

        alignments[b, p] = softmax over p of (w · inputs[b, p])
        context[b]       = sum over p of alignments[b, p] inputs[b, p]
        outputs[b, p]    = inputs[b, p] + W_2 ReLU(LN(W_1 context[b]))

    Args:
        reduction: C / r is the width of W_1's output, at least 1. At least 1.
        use_bias: Whether W_1 and W_2 have biases; the paper's equations have none.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments, float
        [B, H, W], which sum to 1.

    Raises:
        ValueError: If `reduction` is below 1.

    Example:
        >>> layer = attnzoo.layers.GlobalContext(reduction=4)
        >>> outputs, alignments = layer(inputs, return_alignments=True)
        >>> outputs.shape, alignments.shape  # B=2, H=3, W=5, C=8
        ((2, 3, 5, 8), (2, 3, 5))

    References:
        [Cao et al., 2019](https://arxiv.org/abs/1904.11492), equation 5.
    """

    def __init__(self, reduction: int = 16, *, use_bias: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_positive(reduction=reduction)
        self.reduction = reduction
        self.use_bias = use_bias
        self.norm = keras.layers.LayerNormalization(
            epsilon=_EPSILON, dtype=self.dtype_policy, name="norm"
        )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        units = max(1, channels // self.reduction)
        self.score_kernel = self.add_kernel("score_kernel", channels, 1)
        self.hidden_dense = self._dense("hidden", units)
        self.output_dense = self._dense("output", channels)
        self.hidden_dense.build((None, channels))
        self.norm.build((None, units))
        self.output_dense.build((None, units))
        self.built = True

    def call(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        places = to_places(inputs)
        scores = ops.transpose(linear(places, self.read(self.score_kernel)), (0, 2, 1))
        alignments = masked_softmax(scores)  # [B, 1, P]
        context = weighted_sum(alignments, places)[:, 0]  # [B, C]
        hidden = ops.relu(self.norm(apply_dense(self.hidden_dense, context)))
        outputs = inputs + apply_dense(self.output_dense, hidden)[:, None, None, :]
        if not return_alignments:
            return outputs
        return outputs, ops.reshape(alignments, ops.shape(inputs)[:3])

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        outputs = self.tensor(*inputs.shape)
        return (outputs, self.tensor(*inputs.shape[:3])) if return_alignments else outputs

    def get_config(self):
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "use_bias": self.use_bias,
        }

    def _dense(self, name, units):
        return keras.layers.Dense(units, use_bias=self.use_bias, dtype=self.dtype_policy, name=name)

"""Non-local block: every place gathers from all others, and adds what it finds."""

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.maps import MapLayer, check_map, count_places, to_map, to_places
from attnzoo.ops import linear, masked_softmax

PAIRWISE = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")
_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="attnzoo")
class NonLocalBlock(MapLayer):
    """Non-local block of Wang et al.

        outputs[b, i] = inputs[b, i] + BN(W_z sum over j of alignments[b, i, j] G inputs[b, j])

    | pairwise | alignments[b, i, j], with x for the inputs of example b |
    | --- | --- |
    | `"embedded_gaussian"` | softmax over j of (T x[i]) · (F x[j]) |
    | `"gaussian"` | softmax over j of x[i] · x[j] |
    | `"dot_product"` | (T x[i]) · (F x[j]) / S |
    | `"concatenation"` | ReLU(u · T x[i] + v · F x[j]) / S |

    S is the number of places j. The last two are no shares: they need not sum to 1. The scale of
    the batch normalization starts at zero, so that a new block is the identity.

    Args:
        units: Width of T, F and G, in features; None for half of the channels, at least 1.
        pairwise: One of the names above.
        pool_size: Side of the squares of places j of which F and G see the maximum alone, in
            places. 1 for none. At least 1.
        use_bias: Whether T, F and G have biases.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments too.
        training: Whether the batch's own statistics normalize it.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments, float
        [B, P, S] with P = H W, places row by row, and S = P without pooling.

    Raises:
        ValueError: If a size is below 1, or `pairwise` is unknown.

    Example:
        >>> layer = attnzoo.layers.NonLocalBlock(pool_size=2)
        >>> outputs, alignments = layer(inputs, return_alignments=True)
        >>> outputs.shape, alignments.shape  # B=2, H=4, W=6, C=8
        ((2, 4, 6, 8), (2, 24, 6))

    References:
        [Wang et al., 2018](https://arxiv.org/abs/1711.07971), equations 1 to 6.
    """

    def __init__(
        self,
        units: int | None = None,
        *,
        pairwise: str = "embedded_gaussian",
        pool_size: int = 1,
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(pool_size=pool_size, **({} if units is None else {"units": units}))
        check_choice(PAIRWISE, pairwise=pairwise)
        self.units = units
        self.pairwise = pairwise
        self.pool_size = pool_size
        self.use_bias = use_bias
        self.pooling = keras.layers.MaxPooling2D(
            pool_size,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="pooling",
        )
        self.norm = keras.layers.BatchNormalization(
            epsilon=_EPSILON, gamma_initializer="zeros", dtype=self.dtype_policy, name="norm"
        )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        units = max(1, channels // 2) if self.units is None else self.units
        names = ["value"] if self.pairwise == "gaussian" else ["query", "key", "value"]
        for name in names:
            dense = self._dense(name, units, self.use_bias)
            dense.build((None, channels))
            setattr(self, f"{name}_dense", dense)
        if self.pairwise == "concatenation":
            self.query_vector = self.add_kernel("query_vector", units, 1)
            self.key_vector = self.add_kernel("key_vector", units, 1)
        self.output_dense = self._dense("output", channels, False)
        self.output_dense.build((None, units))
        self.norm.build((None, None, None, channels))
        self.built = True

    def align(self, places, memory):
        """Return the alignments [B, P, S] of places [B, P, C] with the pooled ones [B, S, C]."""
        if self.pairwise == "gaussian":
            return masked_softmax(_products(places, memory))
        query, key = apply_dense(self.query_dense, places), apply_dense(self.key_dense, memory)
        if self.pairwise == "embedded_gaussian":
            return masked_softmax(_products(query, key))
        if self.pairwise == "dot_product":
            scores = _products(query, key)
        else:
            of_query = linear(query, self.read(self.query_vector))  # [B, P, 1]
            of_key = linear(key, self.read(self.key_vector))  # [B, S, 1]
            scores = ops.relu(of_query + ops.transpose(of_key, (0, 2, 1)))
        return scores / ops.cast(ops.shape(memory)[1], scores.dtype)

    def call(self, inputs, return_alignments: bool = False, training: bool = False):
        check_map(inputs)
        memory = to_places(inputs if self.pool_size == 1 else self.pooling(inputs))
        alignments = ops.cast(self.align(to_places(inputs), memory), self.compute_dtype)
        context = ops.matmul(alignments, apply_dense(self.value_dense, memory))
        context = to_map(apply_dense(self.output_dense, context), inputs)
        outputs = inputs + self.norm(context, training=training)
        return (outputs, alignments) if return_alignments else outputs

    def compute_output_spec(self, inputs, return_alignments: bool = False, training: bool = False):
        check_map(inputs)
        outputs = self.tensor(*inputs.shape)
        if not return_alignments:
            return outputs
        pooled = self.pooling.compute_output_shape(inputs.shape)
        return outputs, self.tensor(
            inputs.shape[0], count_places(inputs.shape), count_places(pooled)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "pairwise": self.pairwise,
            "pool_size": self.pool_size,
            "use_bias": self.use_bias,
        }

    def _dense(self, name, units, use_bias):
        return keras.layers.Dense(units, use_bias=use_bias, dtype=self.dtype_policy, name=name)


def _products(query, key):
    """Return the products [B, P, S] of queries [B, P, D] with keys [B, S, D], in float32."""
    dtype = keras.backend.result_type(query.dtype, "float32")
    query, key = ops.cast(query, dtype), ops.cast(key, dtype)
    return ops.matmul(query, ops.transpose(key, (0, 2, 1)))

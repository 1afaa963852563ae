"""Polarized self-attention: a gate for each channel, and one for each place."""

import keras
from keras import ops

from attnzoo.checks import check_choice
from attnzoo.layers.vision.maps import MapLayer, check_map, mean_of_map, to_places
from attnzoo.ops import linear, masked_softmax, weighted_sum

LAYOUTS = ("parallel", "sequential")
FORMS = ("paper", "official")
# How much narrower the hidden layer of the official sequential channel gate is.
_BOTTLENECK = 4
_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="attnzoo")
class PolarizedSelfAttention(MapLayer):
    """Polarized self-attention of Liu et al.: four different functions go by this name.

    Each multiplies a map x by a gate of its channels and by a gate of its places:

        parallel:     outputs = channel(x) x + spatial(x) x
        sequential:   z = channel(x) x,    outputs = spatial(z) z

    They differ in the gates. W_q maps C features to 1, W_v and V_q, V_v map C to C / 2, and W_z
    maps C / 2 to C; p goes over the places.

        c = sum over p of softmax_p(W_q x)[p] W_v x[p],    m = mean over p of V_q x[p]

    | form | layout | gate of the channels | gate of place p |
    | --- | --- | --- | --- |
    | `"paper"` | both | sigmoid(LN(W_z c)) | sigmoid(softmax_c(m) · V_v x[p]) |
    | `"official"` | parallel | sigmoid(W_z c) | sigmoid(softmax_p(m · V_v x[p])) |
    | `"official"` | sequential | sigmoid(W_z ReLU(LN(W_d c))) | sigmoid(m · softmax_p(V_v x)[p]) |

    In the official sequential form W_d maps
    C / 2 to C / 8, and W_z maps that to C. `"official"` is the code that the authors published: it
    has no biases but in W_d and W_z. In its parallel layout the gate of a place is the sigmoid of a
    share that sums to 1 over all places: it lies in (0.5, 0.7311), and near 0.5 on any large map.

    Sums over places are taken before the products that do not depend on them: W_v and V_q multiply
    one vector, and so does V_v, from the left, in all but the official sequential form. These are
    the same functions, for less work.

    Args:
        layout: `"parallel"` or `"sequential"`.
        form: `"paper"` or `"official"`.
        use_bias: Whether W_q, W_v, W_z, V_q and V_v have biases; None for those of the form: all in
            the paper's, as it is usually written, none in the official one.

    Call arguments:
        inputs: float [B, H, W, C], C even, and a multiple of 8 in the official sequential form.
        return_alignments: Whether to return the gates too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and a dict of the gates, in
        (0, 1): `"channel"` float [B, C] and `"spatial"` float [B, H, W].

    Raises:
        ValueError: If layout or form is unknown, or C does not divide.

    Example:
        >>> attention = attnzoo.layers.PolarizedSelfAttention(layout="sequential")
        >>> outputs, gates = attention(inputs, return_alignments=True)
        >>> outputs.shape, gates["spatial"].shape  # B=2, H=3, W=5, C=8
        ((2, 3, 5, 8), (2, 3, 5))

    References:
        [Liu et al., 2021](https://arxiv.org/abs/2107.00782), equations 5 to 10.
    """

    def __init__(
        self,
        layout: str = "parallel",
        form: str = "paper",
        *,
        use_bias: bool | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice(LAYOUTS, layout=layout)
        check_choice(FORMS, form=form)
        self.layout = layout
        self.form = form
        self.use_bias = use_bias
        self.has_bottleneck = (form, layout) == ("official", "sequential")
        self.norm: keras.layers.Layer | None = None
        if form == "paper" or self.has_bottleneck:
            self.norm = keras.layers.LayerNormalization(
                epsilon=_EPSILON, dtype=self.dtype_policy, name="channel_norm"
            )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        divisor = 2 * _BOTTLENECK if self.has_bottleneck else 2
        if channels % divisor:
            raise ValueError(
                f"The channels must be a multiple of {divisor}. "
                f"Received: inputs.shape={tuple(inputs_shape)}"
            )
        half = channels // 2
        hidden = half // _BOTTLENECK
        has_bias = self.form == "paper" if self.use_bias is None else self.use_bias
        self.channel_query = self._projection("channel_query", channels, 1, has_bias)
        self.channel_value = self._projection("channel_value", channels, half, has_bias)
        if self.has_bottleneck:
            self.channel_down = self._projection("channel_down", half, hidden, True)
            self.channel_up = self._projection("channel_up", hidden, channels, True)
        else:
            self.channel_up = self._projection("channel_up", half, channels, has_bias)
        self.spatial_query = self._projection("spatial_query", channels, half, has_bias)
        self.spatial_value = self._projection("spatial_value", channels, half, has_bias)
        if self.norm is not None:
            self.norm.build((None, hidden if self.has_bottleneck else channels))
        self.built = True

    # === The gates ===

    def channel_gate(self, inputs):
        """Return the gate of each channel, float [B, C], for a map [B, H, W, C]."""
        places = to_places(inputs)
        scores = self._apply(self.channel_query, places)  # [B, P, 1]
        alignments = masked_softmax(ops.transpose(scores, (0, 2, 1)))  # [B, 1, P]
        context = weighted_sum(alignments, places)[:, 0]  # [B, C]
        context = self._apply(self.channel_value, context)  # Alignments sum to 1: bias and all.
        if self.norm is None:
            return ops.sigmoid(self._apply(self.channel_up, context))
        if self.has_bottleneck:
            context = ops.relu(self.norm(self._apply(self.channel_down, context)))
            return ops.sigmoid(self._apply(self.channel_up, context))
        return ops.sigmoid(self.norm(self._apply(self.channel_up, context)))

    def spatial_gate(self, inputs):
        """Return the gate of each place, float [B, H, W], for a map [B, H, W, C]."""
        places = to_places(inputs)
        query = self._apply(self.spatial_query, mean_of_map(inputs))  # [B, C / 2]
        if self.has_bottleneck:
            value = ops.transpose(self._apply(self.spatial_value, places), (0, 2, 1))
            logits = ops.matmul(query[:, None], masked_softmax(value))[:, 0]  # [B, P]
        elif self.form == "paper":
            logits = self._compare_places(masked_softmax(query), places)
        else:
            logits = masked_softmax(self._compare_places(query, places))
        return ops.reshape(ops.sigmoid(logits), ops.shape(inputs)[:3])

    def call(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        channel = self.channel_gate(inputs)
        gated = inputs * channel[:, None, None, :]
        if self.layout == "sequential":
            spatial = self.spatial_gate(gated)
            outputs = gated * spatial[..., None]
        else:
            spatial = self.spatial_gate(inputs)
            outputs = gated + inputs * spatial[..., None]
        return (outputs, {"channel": channel, "spatial": spatial}) if return_alignments else outputs

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        return self.gated_spec(inputs, return_alignments)

    def get_config(self):
        return {
            **super().get_config(),
            "layout": self.layout,
            "form": self.form,
            "use_bias": self.use_bias,
        }

    def _projection(self, name, width, units, has_bias):
        """Return a kernel [width, units] and a bias [units], or None in its place."""
        kernel = self.add_kernel(f"{name}_kernel", width, units)
        if not has_bias:
            return kernel, None
        return kernel, self.add_weight(shape=(units,), initializer="zeros", name=f"{name}_bias")

    def _apply(self, projection, rows):
        kernel, bias = projection
        return linear(rows, self.read(kernel), None if bias is None else self.read(bias))

    def _compare_places(self, query, places):
        """Return query · V_v x[p] for a query [B, C / 2] and places x [B, P, C], as [B, P]."""
        kernel, bias = self.spatial_value
        back = ops.matmul(query, ops.transpose(self.read(kernel)))  # [B, C]
        scores = ops.matmul(places, back[..., None])[..., 0]
        if bias is None:
            return scores
        return scores + ops.sum(query * self.read(bias), axis=-1, keepdims=True)

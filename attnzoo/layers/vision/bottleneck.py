"""Residual bottleneck blocks: with a convolution in the middle, or with self-attention."""

from collections.abc import Callable

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive
from attnzoo.layers.sharing import part_config
from attnzoo.layers.vision.maps import MapLayer, check_map, count_places
from attnzoo.layers.vision.relative_2d import RelativeSelfAttention2D

MOMENTUM = 0.9
EPSILON = 1e-5


def make_convolution(
    filters: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dtype=None,
    name: str,
):
    """Return a convolution without bias; pad its inputs by `pad_for` where it is strided."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_normal",
        data_format="channels_last",
        dtype=dtype,
        name=name,
    )


def make_norm(*, dtype=None, name: str, gamma: str = "ones"):
    """Return a batch normalization whose scale starts as "ones" or "zeros"."""
    return keras.layers.BatchNormalization(
        momentum=MOMENTUM, epsilon=EPSILON, gamma_initializer=gamma, dtype=dtype, name=name
    )


def pad_for(inputs, kernel_size: int, stride: int, value: float = 0.0):
    """Pad a map on all sides alike, where the kernel is strided.

    Padding "same" of a strided kernel is asymmetric, and so shifts the map.
    """
    margin = kernel_size // 2
    if stride == 1 or not margin:
        return inputs
    sides = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    return ops.pad(inputs, sides, constant_values=value)


class ResidualBottleneck(MapLayer):
    """Base of the bottleneck blocks.

        x = activation(shortcut(x) + BN(W_out middle(activation(BN(W_in x)))))

    A subclass has `make_middle`, which sets the layers of the middle, and `middle`, a function of a
    map [B, H, W, filters] to a map of as many channels, and alignments.

    Args:
        filters: Channels of the middle. At least 1.
        output_filters: Channels of the output; 4 `filters` if None.
        stride: 1, or 2 to halve height and width, rounded up.
        activation: A name that Keras knows, or a function.
        shortcut_activation: Whether the activation follows a projected shortcut too.
    """

    def __init__(
        self,
        filters: int,
        *,
        output_filters: int | None,
        stride: int,
        activation: str | Callable,
        shortcut_activation: bool,
        **kwargs,
    ):
        super().__init__(**kwargs)
        given = {} if output_filters is None else {"output_filters": output_filters}
        check_positive(filters=filters, **given)
        check_choice((1, 2), stride=stride)
        self.filters = filters
        self.output_filters = 4 * filters if output_filters is None else output_filters
        self.stride = stride
        self.activation = keras.activations.get(activation)
        self.shortcut_activation = shortcut_activation
        self.in_convolution = self._convolution(filters, 1, "in_convolution")
        self.in_norm = self._norm("in_norm")
        self.out_convolution = self._convolution(self.output_filters, 1, "out_convolution")
        # A new block is its shortcut.
        self.out_norm = self._norm("out_norm", gamma="zeros")

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        self.in_convolution.build((None, None, None, channels))
        self.in_norm.build((None, None, None, self.filters))
        self.build_middle((*inputs_shape[:3], self.filters))
        self.out_convolution.build((None, None, None, self.filters))
        self.out_norm.build((None, None, None, self.output_filters))
        self.has_projection = self.stride > 1 or channels != self.output_filters
        if self.has_projection:
            self.shortcut_convolution = self._convolution(
                self.output_filters,
                1,
                "shortcut_convolution",
                stride=self.stride,
            )
            self.shortcut_norm = self._norm("shortcut_norm")
            self.shortcut_convolution.build((None, None, None, channels))
            self.shortcut_norm.build((None, None, None, self.output_filters))
        self.built = True

    def build_middle(self, shape):
        """Build the layers of the middle for a map of this shape."""
        raise NotImplementedError

    def middle(self, hidden, return_alignments: bool, training: bool):
        """Return a map of the middle, and its alignments, or None if they are not asked for."""
        raise NotImplementedError

    def shortcut(self, x, training: bool = False):
        """Return what the block adds to: its input, projected where shapes differ."""
        if not self.has_projection:
            return x
        projected = self.shortcut_norm(self.shortcut_convolution(x), training=training)
        return self.activation(projected) if self.shortcut_activation else projected

    def call(self, inputs, return_alignments: bool = False, training: bool = False):
        """Add the branch to the shortcut.

        Args:
            inputs: float [B, H, W, C].
            return_alignments: Whether to return the alignments or gates of the attention too.
            training: Whether the batch's own statistics normalize it.

        Returns:
            float [B, H, W, output_filters], or half as high and wide; with `return_alignments=True`
            the pair of it and what the attention returns.
        """
        check_map(inputs)
        hidden = self.activation(self.in_norm(self.in_convolution(inputs), training=training))
        hidden, alignments = self.middle(hidden, return_alignments, training)
        branch = self.out_norm(self.out_convolution(hidden), training=training)
        outputs = self.activation(self.shortcut(inputs, training) + branch)
        return (outputs, alignments) if return_alignments else outputs

    def output_of(self, inputs):
        """Return the symbolic output for a symbolic input."""
        check_map(inputs)
        batch, height, width, _ = inputs.shape
        size = (None if one is None else -(-one // self.stride) for one in (height, width))
        return self.tensor(batch, *size, self.output_filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "output_filters": self.output_filters,
            "stride": self.stride,
            "activation": keras.activations.serialize(self.activation),
        }

    def _convolution(self, filters, kernel_size, name, **options):
        return make_convolution(filters, kernel_size, dtype=self.dtype_policy, name=name, **options)

    def _norm(self, name, gamma="ones"):
        return make_norm(dtype=self.dtype_policy, name=name, gamma=gamma)


@keras.saving.register_keras_serializable(package="attnzoo")
class BottleneckBlock(ResidualBottleneck):
    """Bottleneck block of a residual network, with an attention after its convolution.

        hidden  = activation(BN(W_in inputs))
        hidden  = attention(activation(BN(F * hidden)))
        outputs = activation(shortcut(inputs) + BN(W_out hidden))

    F is a convolution of 3 x 3 with the stride. The shortcut is the inputs, or BN(W inputs) where
    stride or channels differ. The scale of the last normalization starts at zero.

    Differs from the paper: the stride is that of F and not of W_in, as in most code since; the
    padding of a strided F is the same on all sides.

    Args:
        filters: Channels of `hidden`. At least 1.
        output_filters: Channels of the output; 4 `filters` if None.
        stride: 1, or 2 to halve height and width, rounded up.
        activation: A name that Keras knows, or a function.
        attention: A layer of a map to a map of the same shape, such as `PolarizedSelfAttention()`;
            or None.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments or gates of `attention` too.
        training: Whether the batch's own statistics normalize it.

    Returns:
        float [B, H, W, output_filters], or half as high and wide; with `return_alignments=True` the
        pair of it and what `attention` returns.

    Raises:
        ValueError: If a size is below 1, `stride` is not 1 or 2, or alignments are asked for and
            there is no attention.

    Example:
        >>> layer = attnzoo.layers.BottleneckBlock(4, attention=attnzoo.layers.CBAM(4))
        >>> layer(inputs).shape  # B=2, H=3, W=5, C=8
        (2, 3, 5, 16)

    References:
        [He et al., 2016](https://arxiv.org/abs/1512.03385), figure 5.
        [Goyal et al., 2017](https://arxiv.org/abs/1706.02677), section 5.1 (the zero scale).
    """

    def __init__(
        self,
        filters: int,
        *,
        output_filters: int | None = None,
        stride: int = 1,
        activation: str | Callable = "relu",
        attention: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(
            filters,
            output_filters=output_filters,
            stride=stride,
            activation=activation,
            shortcut_activation=False,
            **kwargs,
        )
        if isinstance(attention, dict):
            attention = keras.saving.deserialize_keras_object(attention)
        self.attention = attention
        self.convolution = self._convolution(filters, 3, "convolution", stride=stride)
        self.norm = self._norm("norm")

    def build_middle(self, shape):
        self.convolution.build((None, None, None, self.filters))
        self.norm.build((None, None, None, self.filters))
        if self.attention is not None and not self.attention.built:
            self.attention.build(self._middle_shape(shape))

    def middle(self, hidden, return_alignments, training):
        padded = pad_for(hidden, 3, self.stride)
        hidden = self.activation(self.norm(self.convolution(padded), training=training))
        self._check_attention(return_alignments)
        if self.attention is None:
            return hidden, None
        if return_alignments:
            return self.attention(hidden, return_alignments=True)
        return self.attention(hidden), None

    def compute_output_spec(self, inputs, return_alignments: bool = False, training: bool = False):
        outputs = self.output_of(inputs)
        self._check_attention(return_alignments)
        if not return_alignments or self.attention is None:
            return outputs
        hidden = self.tensor(*self._middle_shape(inputs.shape))
        return outputs, self.attention.compute_output_spec(hidden, return_alignments=True)[1]

    def get_config(self):
        attention = None if self.attention is None else part_config(self.attention)
        return {**super().get_config(), "attention": attention}

    def _middle_shape(self, shape):
        size = (None if one is None else -(-one // self.stride) for one in shape[1:3])
        return (shape[0], *size, self.filters)

    def _check_attention(self, return_alignments):
        if return_alignments and self.attention is None:
            raise ValueError(
                "Alignments are those of `attention`, which the block must have. "
                "Received: attention=None, return_alignments=True"
            )


@keras.saving.register_keras_serializable(package="attnzoo")
class BottleneckTransformerBlock(ResidualBottleneck):
    """Bottleneck Transformer block: self-attention in place of a block's convolution.

        hidden  = activation(BN(W_in inputs))
        hidden  = activation(BN(attention(hidden)))
        outputs = activation(shortcut(inputs) + BN(W_out hidden))

    with `RelativeSelfAttention2D`. The shortcut is the inputs, or activation(BN(W inputs)) where
    stride or channels differ. The scale of the last normalization starts at zero.

    Args:
        filters: Channels of `hidden`, a multiple of `num_heads`. At least 1.
        num_heads: N. At least 1.
        output_filters: Channels of the output; 4 `filters` if None.
        stride: 1, or 2 to halve the height and width of what attention returns, rounded up.
        activation: A name that Keras knows, or a function.
        shortcut_activation: Whether the activation follows a projected shortcut, as in the
            authors' code; the published weights of timm are without.
        scale_position: As in `RelativeSelfAttention2D`.
        map_size: Likewise.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments too.
        training: Whether the batch's own statistics normalize it.

    Returns:
        float [B, H, W, output_filters], or half as high and wide; with `return_alignments=True` the
        pair of it and the alignments, float [B, N, P, P] with P = H W.

    Raises:
        ValueError: If a size is below 1, N does not divide `filters`, or `stride` is not 1 or 2.

    Example:
        >>> attnzoo.layers.BottleneckTransformerBlock(8)(inputs).shape  # B=2, H=3, W=5, C=32
        (2, 3, 5, 32)

    References:
        [Srinivas et al., 2021](https://arxiv.org/abs/2101.11605), figure 3.
    """

    def __init__(
        self,
        filters: int,
        num_heads: int = 4,
        *,
        output_filters: int | None = None,
        stride: int = 1,
        activation: str | Callable = "relu",
        shortcut_activation: bool = True,
        scale_position: bool = True,
        map_size: tuple[int, int] | None = None,
        **kwargs,
    ):
        super().__init__(
            filters,
            output_filters=output_filters,
            stride=stride,
            activation=activation,
            shortcut_activation=shortcut_activation,
            **kwargs,
        )
        check_positive(num_heads=num_heads)
        if filters % num_heads:
            raise ValueError(
                "`num_heads` must divide `filters`. "
                f"Received: num_heads={num_heads}, filters={filters}"
            )
        self.num_heads = num_heads
        self.scale_position = scale_position
        self.attention = RelativeSelfAttention2D(
            num_heads,
            stride=stride,
            scale_position=scale_position,
            map_size=map_size,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.norm = self._norm("norm")

    def build_middle(self, shape):
        self.attention.build(shape)
        self.norm.build((None, None, None, self.filters))

    def middle(self, hidden, return_alignments, training):
        alignments = None
        if return_alignments:
            hidden, alignments = self.attention(hidden, return_alignments=True)
        else:
            hidden = self.attention(hidden)
        return self.activation(self.norm(hidden, training=training)), alignments

    def compute_output_spec(self, inputs, return_alignments: bool = False, training: bool = False):
        outputs = self.output_of(inputs)
        if not return_alignments:
            return outputs
        places = count_places(inputs.shape)
        return outputs, self.tensor(inputs.shape[0], self.num_heads, places, places)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "shortcut_activation": self.shortcut_activation,
            "scale_position": self.scale_position,
            "map_size": self.attention.map_size,
        }

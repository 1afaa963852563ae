"""The backbones: residual networks with attention after convolutions, or in their place."""

from collections.abc import Sequence

import keras

from attnzoo.checks import check_choice, check_positive
from attnzoo.layers import BottleneckBlock, BottleneckTransformerBlock
from attnzoo.layers.names import MAP_ATTENTIONS
from attnzoo.models.parts.backbone import Backbone
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.resnet.stem import STEMS, apply_stem, make_head, make_pooling, make_stem


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentionResNetBackbone(Backbone):
    """Residual network of bottleneck blocks, with attention where it is asked for.

    A stage is a row of blocks of one width; its first block has the stage's stride. The last blocks
    of a stage may be `BottleneckTransformerBlock`, in which self-attention stands in place of the
    convolution; all others are `BottleneckBlock`, with `attention` after the convolution. The
    default without attention is ResNet-50, with the stride at the 3 x 3 convolution.

    Pictures may have any size. `image_shape` gives the size of the tables of relative positions,
    which are resized for pictures of another size.

    | stem | convolutions | pooled |
    | --- | --- | --- |
    | `"imagenet"` | 64 of 7 x 7, every second place | yes |
    | `"tiered"` | 24 of 3 x 3, every second place; 32 and 64 of 3 x 3 | yes |
    | `"tiered_strided"` | the same, the last at every second place | no |
    | `"small"` | the first stage's filters of 3 x 3 | no |

    Args:
        image_shape: Height and width of pictures, in pixels, and number of channels.
        filters: Channels inside the blocks of each stage. At least 1.
        num_blocks: Blocks of each stage. At least 1.
        strides: 1 or 2 for each stage.
        output_filters: Channels of the output of the blocks of each stage; None for 4 `filters`.
        transformer_blocks: How many of the last blocks of each stage are Transformer blocks; None
            for none.
        num_heads: Heads of each of them. At least 1; it divides `filters`.
        attention: What follows each convolution: `"polarized"`, `"squeeze_excitation"`,
            `"efficient_channel"`, `"cbam"`, `"non_local"`, `"external"` or `"global_context"`; or
            None.
        attention_options: A dict of the arguments of that layer, such as `{"form": "official"}`.
        stem: One of the table's.
        activation: A name that Keras knows, of all activations.
        scale_position: As in `RelativeSelfAttention2D`.
        shortcut_activation: As in `BottleneckTransformerBlock`.
        head_filters: Channels of a last convolution of 1 x 1; None for none.
        dtype: Dtype or policy of the layers.

    Call arguments:
        images: float [B, H, W, C]. Normalized pictures.

    Returns:
        float [B, H', W', D], D the last of `output_filters`, or `head_filters`.

    Raises:
        ValueError: If a size is below 1, the stages' arguments differ in length, a stage has fewer
            blocks than Transformer blocks, or a name is unknown.

    Example:
        >>> backbone = attnzoo.models.AttentionResNetBackbone(
        ...     (28, 28, 1), filters=(8, 16), num_blocks=(1, 1), strides=(1, 2), stem="small",
        ...     attention="polarized", attention_options={"layout": "sequential"})
        >>> backbone(images).shape  # B=2
        (2, 14, 14, 64)

    References:
        [He et al., 2016](https://arxiv.org/abs/1512.03385).
        [Liu et al., 2021](https://arxiv.org/abs/2107.00782) (polarized attention in it).
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (224, 224, 3),
        *,
        filters: Sequence[int] = (64, 128, 256, 512),
        num_blocks: Sequence[int] = (3, 4, 6, 3),
        strides: Sequence[int] = (1, 2, 2, 2),
        output_filters: Sequence[int] | None = None,
        transformer_blocks: Sequence[int] | None = None,
        num_heads: int = 4,
        attention: str | None = None,
        attention_options: dict | None = None,
        stem: str = "imagenet",
        activation: str = "relu",
        scale_position: bool = True,
        shortcut_activation: bool = True,
        head_filters: int | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        height, width, channels = image_shape
        check_positive(height=height, width=width, channels=channels, num_heads=num_heads)
        check_choice(tuple(STEMS), stem=stem)
        check_choice((None, *MAP_ATTENTIONS), attention=attention)
        if attention is None and attention_options:
            raise ValueError(
                "`attention_options` are of `attention`, which must be given. "
                f"Received: attention=None, attention_options={attention_options}"
            )
        stages = _stages(filters, num_blocks, strides, output_filters, transformer_blocks)

        # === Layers ===
        self.activation_layer = keras.layers.Activation(
            activation, name="activation", dtype=policy_for(dtype, "activation")
        )
        self.stem_steps = [one for step in make_stem(stem, filters[0], dtype) for one in step]
        self.stem_pooling = make_pooling(dtype) if STEMS[stem].pooled else None
        size = [-(-one // STEMS[stem].stride) for one in (height, width)]
        self.blocks = _make_blocks(
            stages,
            size,
            dtype=dtype,
            activation=activation,
            of_convolution=(attention, attention_options),
            of_transformer={
                "num_heads": num_heads,
                "scale_position": scale_position,
                "shortcut_activation": shortcut_activation,
            },
        )
        self.head_steps = make_head(head_filters, dtype)

        # === Functional Model ===
        inputs = keras.Input((None, None, channels), name="images")
        super().__init__(inputs=inputs, outputs=self.encode(inputs), dtype=dtype, **kwargs)

        # === Config ===
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.num_blocks = tuple(num_blocks)
        self.strides = tuple(strides)
        self.output_filters = None if output_filters is None else tuple(output_filters)
        self.transformer_blocks = None if transformer_blocks is None else tuple(transformer_blocks)
        self.num_heads = num_heads
        self.attention = attention
        self.attention_options = attention_options
        self.stem = stem
        self.activation = activation
        self.scale_position = scale_position
        self.shortcut_activation = shortcut_activation
        self.head_filters = head_filters

    def encode(self, images, return_alignments: bool = False):
        """Return the map of pictures; with `return_alignments=True` also what attention saw.

        Args:
            images: float [B, H, W, C].
            return_alignments: Whether to also return the alignments or gates.

        Returns:
            float [B, H', W', D]; or the pair of it and a dict of the alignments or gates of each
            block that has attention, by its name.
        """
        activation = self.activation_layer
        steps = [*zip(self.stem_steps[::2], self.stem_steps[1::2], strict=True)]
        x = apply_stem(images, steps, activation, self.stem_pooling)
        alignments = {}
        for block in self.blocks:
            if return_alignments and block.attention is not None:
                x, alignments[block.name] = block(x, return_alignments=True)
            else:
                x = block(x)
        if self.head_steps:
            convolution, norm = self.head_steps
            x = activation(norm(convolution(x)))
        return (x, alignments) if return_alignments else x

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "num_blocks": self.num_blocks,
            "strides": self.strides,
            "output_filters": self.output_filters,
            "transformer_blocks": self.transformer_blocks,
            "num_heads": self.num_heads,
            "attention": self.attention,
            "attention_options": self.attention_options,
            "stem": self.stem,
            "activation": self.activation,
            "scale_position": self.scale_position,
            "shortcut_activation": self.shortcut_activation,
            "head_filters": self.head_filters,
        }


@keras.saving.register_keras_serializable(package="attnzoo")
class BoTNetBackbone(AttentionResNetBackbone):
    """BoTNet: a residual network whose last stage attends in place of its convolutions.

    `BoTNetBackbone()` is BoTNet-50 for pictures of 224 x 224, with stride 2 in the last stage;
    `strides=(1, 2, 2, 1)` is BoTNet-S1-50, and `num_blocks=(3, 4, 23, 3)` makes either one of 101
    layers.

    The other arguments are those of `AttentionResNetBackbone`.

    Args:
        image_shape: Height, width and channels of the pictures, in pixels.
        num_blocks: Blocks of each stage. At least 1.
        transformer_blocks: How many of the last blocks of each stage are Transformer blocks; None
            for all of the last stage.

    Example:
        >>> backbone = attnzoo.models.BoTNetBackbone(
        ...     (28, 28, 1), filters=(8, 16), num_blocks=(1, 1), strides=(1, 2), stem="small")
        >>> backbone(images).shape  # B=2
        (2, 14, 14, 64)

    References:
        [Srinivas et al., 2021](https://arxiv.org/abs/2101.11605), table 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (224, 224, 3),
        *,
        num_blocks: Sequence[int] = (3, 4, 6, 3),
        transformer_blocks: Sequence[int] | None = None,
        **kwargs,
    ):
        if transformer_blocks is None:
            transformer_blocks = [*[0] * (len(num_blocks) - 1), num_blocks[-1]]
        super().__init__(
            image_shape, num_blocks=num_blocks, transformer_blocks=transformer_blocks, **kwargs
        )


def _stages(filters, num_blocks, strides, output_filters, transformer_blocks) -> list[dict]:
    """Return the arguments of each stage; raise if they do not fit together."""
    given = {
        "filters": filters,
        "num_blocks": num_blocks,
        "strides": strides,
        "output_filters": output_filters or [4 * one for one in filters],
        "transformer_blocks": transformer_blocks or [0] * len(filters),
    }
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1 or not len(filters):
        raise ValueError(
            f"The arguments of stages must have one number for each stage. Received: {lengths}"
        )
    stages = [dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True)]
    for stage in stages:
        check_positive(num_blocks=stage["num_blocks"])
        if not 0 <= stage["transformer_blocks"] <= stage["num_blocks"]:
            raise ValueError(
                "A stage must have at least as many blocks as Transformer blocks. Received: "
                f"num_blocks={stage['num_blocks']}, "
                f"transformer_blocks={stage['transformer_blocks']}"
            )
    return stages


def _make_blocks(stages, size, *, dtype, activation, of_convolution, of_transformer) -> list:
    """Return the blocks of all stages.

    Args:
        stages: From `_stages`.
        size: Height and width of the map that the first block reads.
        dtype: Dtype or policy of the backbone.
        activation: As in the backbone.
        of_convolution: Name and options of the attention of blocks with a convolution.
        of_transformer: Further arguments of Transformer blocks.
    """
    blocks: list = []
    for number, stage in enumerate(stages, 1):
        for place in range(stage["num_blocks"]):
            name = f"stage{number}_block{place + 1}"
            arguments = {
                "output_filters": stage["output_filters"],
                "stride": stage["strides"] if place == 0 else 1,
                "activation": activation,
                "dtype": policy_for(dtype, name),
                "name": name,
            }
            if place < stage["num_blocks"] - stage["transformer_blocks"]:
                attention, options = of_convolution
                attention = _make_attention(attention, options, arguments["dtype"])
                block = BottleneckBlock(stage["filters"], attention=attention, **arguments)
                blocks.append(block)
            else:
                arguments |= {**of_transformer, "map_size": tuple(size)}
                blocks.append(BottleneckTransformerBlock(stage["filters"], **arguments))
            size = [-(-one // blocks[-1].stride) for one in size]
    return blocks


def _make_attention(attention, options, dtype):
    if attention is None:
        return None
    return MAP_ATTENTIONS[attention](**(options or {}), dtype=dtype, name="attention")

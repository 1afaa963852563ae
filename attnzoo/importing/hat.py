"""Weights of HAT in the paper's code: which is which of ours, and the sizes that they tell."""

from collections.abc import Iterator, Mapping

import numpy as np

from attnzoo.models import HATBackbone, HATSuperResolution

# What the files hold beside weights: tables that follow from the sizes.
_TABLES = ("relative_position_index_SA", "relative_position_index_OCA", "attn_mask")


def import_hat(
    weights: Mapping[str, np.ndarray], *, convolution_scale: float = 0.01
) -> HATSuperResolution:
    """Return a task with the weights of a model of the paper's code.

    Args:
        weights: The state dict, arrays by name: of `HAT` in github.com/XPixelGroup/HAT, and of
            other implementations with the same names.
        convolution_scale: `conv_scale` of the model, which no weight tells.

    Raises:
        ValueError: If weights are missing or unknown, or have shapes of no such model.
    """
    weights = {name: np.asarray(value) for name, value in weights.items() if name not in _TABLES}
    try:
        task = _make_task(weights, convolution_scale)
        names = dict(weight_names(task))
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"The weights must be those of a HAT; there is no {error}. "
            f"Received: {len(weights)} weights, {sorted(weights)[:3]}, ..."
        ) from error
    missing, unknown = sorted(set(names) - set(weights)), sorted(set(weights) - set(names))
    if missing or unknown:
        raise ValueError(
            "The weights must be all those of a HAT, and no others. "
            f"Received: missing {missing[:5]}, unknown {unknown[:5]}"
        )
    for name, variable in names.items():
        value = _to_keras(name, weights[name], task)
        if value.shape != tuple(variable.shape):
            raise ValueError(
                "All blocks of a HAT must be of one size. "
                f"Received: {name} of shape {weights[name].shape}"
            )
        variable.assign(value)
    return task


def weight_names(task: HATSuperResolution) -> Iterator[tuple]:
    """Yield the name of each weight in the paper's code, and our variable."""
    backbone = task.backbone
    yield from of_layer("conv_first", backbone.first_conv)
    yield from of_norm("patch_embed.norm", backbone.first_norm)
    for place, group in enumerate(backbone.groups):
        prefix = f"layers.{place}"
        for number, block in enumerate(group.blocks):
            yield from of_block(f"{prefix}.residual_group.blocks.{number}", block)
        yield from of_overlapping(f"{prefix}.residual_group.overlap_attn", group.overlapping_block)
        yield from of_layer(f"{prefix}.conv", group.output_conv)
    yield from of_norm("norm", backbone.last_norm)
    yield from of_layer("conv_after_body", backbone.last_conv)
    yield from of_layer("conv_before_upsample.0", task.feature_conv)
    for place, conv in enumerate(task.enlarging_convs):
        yield from of_layer(f"upsample.{2 * place}", conv)  # Each is followed by a shuffle.
    yield from of_layer("conv_last", task.output_conv)


def of_block(prefix, block):
    """Yield names and variables of a `HybridAttentionBlock`."""
    yield from of_norm(f"{prefix}.norm1", block.attention_norm)
    yield from of_heads(f"{prefix}.attn", block.window_attention)
    yield from of_convolutions(f"{prefix}.conv_block.cab", block.convolutions)
    yield from of_norm(f"{prefix}.norm2", block.feed_forward_norm)
    yield from of_feed_forward(f"{prefix}.mlp", block.feed_forward)


def of_convolutions(prefix, block):
    """Yield names and variables of a `ChannelAttentionBlock`."""
    yield from of_layer(f"{prefix}.0", block.compress_conv)
    yield from of_layer(f"{prefix}.2", block.expand_conv)
    yield from of_gates(f"{prefix}.3.attention", block.channel_attention)


def of_gates(prefix, attention):
    """Yield names and variables of a `ChannelAttention`."""
    yield from of_layer(f"{prefix}.1", attention.squeeze_dense)
    yield from of_layer(f"{prefix}.3", attention.expand_dense)


def of_overlapping(prefix, block):
    """Yield names and variables of an `OverlappingCrossAttentionBlock`."""
    yield from of_norm(f"{prefix}.norm1", block.attention_norm)
    yield from of_heads(prefix, block.cross_attention)
    yield from of_norm(f"{prefix}.norm2", block.feed_forward_norm)
    yield from of_feed_forward(f"{prefix}.mlp", block.feed_forward)


def of_heads(prefix, attention):
    """Yield names and variables of an attention within windows."""
    yield f"{prefix}.relative_position_bias_table", attention.bias_table
    yield from of_layer(f"{prefix}.qkv", attention.qkv_dense)
    yield from of_layer(f"{prefix}.proj", attention.output_dense)


def of_feed_forward(prefix, feed_forward):
    """Yield names and variables of a `FeedForward`."""
    yield from of_layer(f"{prefix}.fc1", feed_forward.hidden_dense)
    yield from of_layer(f"{prefix}.fc2", feed_forward.output_dense)


def of_norm(prefix, norm):
    """Yield names and variables of a norm."""
    yield f"{prefix}.weight", norm.gamma
    yield f"{prefix}.bias", norm.beta


def of_layer(prefix, layer):
    """Yield names and variables of a dense layer or a convolution."""
    yield f"{prefix}.weight", layer.kernel
    if layer.bias is not None:
        yield f"{prefix}.bias", layer.bias


def _to_keras(name, value, task):
    """Return a weight in our layout: input features before output features, pixels by rows."""
    value = np.asarray(value, "float32")
    if name.startswith("upsample"):
        # From c r^2 + i r + j to (i r + j) C + c: see `pixel_shuffle`.
        channels = task.num_features
        value = value.reshape(channels, -1, *value.shape[1:]).swapaxes(0, 1)
        value = value.reshape(-1, *value.shape[2:])
    if name.endswith("relative_position_bias_table") or value.ndim == 1:
        return value
    if value.ndim == 4 and ".attention." in name:  # A convolution of one pixel: a matrix.
        value = value[:, :, 0, 0]
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _make_task(weights, convolution_scale):
    """Return a new task of the sizes that the weights tell."""
    block = "layers.0.residual_group.blocks.0"
    table = weights[f"{block}.attn.relative_position_bias_table"]
    overlapping = weights["layers.0.residual_group.overlap_attn.relative_position_bias_table"]
    hidden_dim, num_channels = weights["conv_first.weight"].shape[:2]
    window_size = (_root(len(table)) + 1) // 2
    overlap = _root(len(overlapping)) + 1 - 2 * window_size
    compressed = len(weights[f"{block}.conv_block.cab.0.weight"])
    squeezed = len(weights[f"{block}.conv_block.cab.3.attention.1.weight"])
    depths: list[int] = []
    while f"layers.{len(depths)}.conv.weight" in weights:
        blocks = f"layers.{len(depths)}.residual_group.blocks"
        depths.append(sum(f"{blocks}.{place}.norm1.weight" in weights for place in range(99)))
    backbone = HATBackbone(
        hidden_dim,
        depths,
        num_heads=table.shape[1],
        window_size=window_size,
        overlap_ratio=overlap / window_size,
        feed_forward_dim=len(weights[f"{block}.mlp.fc1.weight"]),
        compress_ratio=hidden_dim // compressed,
        squeeze_factor=hidden_dim // squeezed,
        convolution_scale=convolution_scale,
        num_channels=num_channels,
    )
    num_features = weights["conv_last.weight"].shape[1]
    step = _root(len(weights["upsample.0.weight"]) // num_features)
    scale = 4 if "upsample.2.weight" in weights else step
    return HATSuperResolution(backbone, scale=scale, num_features=num_features)


def _root(number: int) -> int:
    return round(number**0.5)

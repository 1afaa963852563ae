"""Weights of the BoTNets of timm: which is which of ours.

timm scales no positions, and projects shortcuts without an activation.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from attnzoo.models import (
    BoTNetBackbone,
    BoTNetImageClassifier,
    BoTNetImageClassifierPreprocessor,
)

_SHARED = {
    "image_shape": (256, 256, 3),
    "scale_position": False,
    "shortcut_activation": False,
}
_BOTNET26T = {
    **_SHARED,
    "num_blocks": (2, 2, 2, 2),
    "transformer_blocks": (0, 0, 1, 2),
    "stem": "tiered",
}
_SEBOTNET33TS = {
    **_SHARED,
    "num_blocks": (2, 3, 3, 2),
    "transformer_blocks": (0, 1, 1, 2),
    "output_filters": (256, 512, 1024, 1536),
    "stem": "tiered_strided",
    "activation": "silu",
    "attention": "squeeze_excitation",
    "attention_options": {"divisor": 8, "use_bias": True},
    "head_filters": 1280,
}


def import_botnet26t(weights: Mapping[str, np.ndarray]) -> BoTNetImageClassifier:
    """Return a task with the weights of timm's `botnet26t_256`.

    Args:
        weights: The state dict, arrays by name.

    Raises:
        ValueError: If weights are missing or unknown, or have other shapes.
    """
    return _import(weights, "botnet26t_256", _BOTNET26T)


def import_sebotnet33ts(weights: Mapping[str, np.ndarray]) -> BoTNetImageClassifier:
    """Return a task with the weights of timm's `sebotnet33ts_256`; the rest is as above."""
    return _import(weights, "sebotnet33ts_256", _SEBOTNET33TS)


def _import(weights, name, arguments):
    if "head.fc.bias" not in weights:
        raise ValueError(
            f"The weights must be those of {name}; there is no 'head.fc.bias'. "
            f"Received: {len(weights)} weights, {sorted(weights)[:3]}, ..."
        )
    preprocessor = BoTNetImageClassifierPreprocessor(arguments["image_shape"])
    task = BoTNetImageClassifier(
        BoTNetBackbone(**arguments), preprocessor, num_classes=len(weights["head.fc.bias"])
    )
    set_weights(task, weights, name)
    return task


def set_weights(task: BoTNetImageClassifier, weights: Mapping[str, np.ndarray], name: str):
    """Set a task's weights to those of timm; raise if they do not fit.

    Args:
        task: The task.
        weights: The state dict, arrays by name.
        name: The model's name, for messages.
    """
    given = {one: np.asarray(value) for one, value in weights.items()}
    given = {one: value for one, value in given.items() if not one.endswith("num_batches_tracked")}
    targets: dict[str, list] = {}
    for one, variable in weight_names(task):
        targets.setdefault(one, []).append(variable)  # Queries, keys and values are one of timm's.
    missing, unknown = sorted(set(targets) - set(given)), sorted(set(given) - set(targets))
    if missing or unknown:
        raise ValueError(
            f"The weights must be all those of {name}, and no others. "
            f"Received: missing {missing[:5]}, unknown {unknown[:5]}"
        )
    for one, variables in targets.items():
        parts = np.split(given[one], len(variables), axis=0)
        for variable, part in zip(variables, parts, strict=True):
            value = _to_keras(part, len(variable.shape), one)
            if value.shape != tuple(variable.shape):
                raise ValueError(
                    f"The weights must have the sizes of {name}. "
                    f"Received: {one} of shape {given[one].shape}"
                )
            variable.assign(value)


def weight_names(task: BoTNetImageClassifier) -> Iterator[tuple]:
    """Yield the name of each weight in timm, and our variable."""
    backbone = task.backbone
    steps = zip(backbone.stem_steps[::2], backbone.stem_steps[1::2], strict=True)
    for place, (convolution, norm) in enumerate(steps, 1):
        yield from of_convolution(f"stem.conv{place}", convolution, norm)
    for block in backbone.blocks:
        stage, place = (int(part) - 1 for part in block.name[len("stage") :].split("_block"))
        yield from of_block(f"stages.{stage}.{place}", block)
    if backbone.head_steps:
        yield from of_convolution("final_conv", *backbone.head_steps)
    yield "head.fc.weight", task.output_dense.kernel
    yield "head.fc.bias", task.output_dense.bias


def of_block(prefix, block):
    """Yield names and variables of a bottleneck block."""
    yield from of_convolution(f"{prefix}.conv1_1x1", block.in_convolution, block.in_norm)
    if hasattr(block, "convolution"):
        yield from of_convolution(f"{prefix}.conv2_kxk", block.convolution, block.norm)
        if block.attention is not None:
            yield from of_gates(f"{prefix}.attn", block.attention)
    else:
        yield from of_heads(f"{prefix}.self_attn", block.attention)
        yield from of_norm(f"{prefix}.post_attn", block.norm)
    yield from of_convolution(f"{prefix}.conv3_1x1", block.out_convolution, block.out_norm)
    if block.has_projection:
        yield from of_convolution(
            f"{prefix}.shortcut", block.shortcut_convolution, block.shortcut_norm
        )


def of_heads(prefix, attention):
    """Yield names and variables of a `RelativeSelfAttention2D`."""
    for dense in (attention.query_dense, attention.key_dense, attention.value_dense):
        yield f"{prefix}.qkv.weight", dense.kernel
    yield f"{prefix}.pos_embed.height_rel", attention.height_table
    yield f"{prefix}.pos_embed.width_rel", attention.width_table


def of_gates(prefix, attention):
    """Yield names and variables of a `SqueezeExcitation`."""
    for place, dense in enumerate((attention.hidden_dense, attention.gate_dense), 1):
        yield f"{prefix}.fc{place}.weight", dense.kernel
        yield f"{prefix}.fc{place}.bias", dense.bias


def of_convolution(prefix, convolution, norm):
    """Yield names and variables of a convolution and its normalization."""
    yield f"{prefix}.conv.weight", convolution.kernel
    yield from of_norm(f"{prefix}.bn", norm)


def of_norm(prefix, norm):
    """Yield names and variables of a batch normalization."""
    yield f"{prefix}.weight", norm.gamma
    yield f"{prefix}.bias", norm.beta
    yield f"{prefix}.running_mean", norm.moving_mean
    yield f"{prefix}.running_var", norm.moving_variance


def _to_keras(value, rank, name):
    """Return a weight of torch in the layout of a variable of this rank."""
    if value.ndim == 4:  # [out, in, height, width]
        value = value.transpose(2, 3, 1, 0)
        return value[0, 0] if rank == 2 and value.shape[:2] == (1, 1) else value
    is_kernel = value.ndim == 2 and not name.endswith("_rel")
    return value.T if is_kernel else value

"""Quantized weights, weights without an optimizer, and the preset of one task for another."""

import contextlib
import json
import os

import keras

from attnzoo.layers.output import TokenLogits
from attnzoo.models.parts.policies import policy_for, short_collections

_QUANTIZABLE = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Embedding,
    keras.layers.ReversibleEmbedding,
    TokenLogits,
)


def is_quantizable(layer) -> bool:
    """Whether Keras can quantize a layer."""
    # Of these very types: Keras refuses what is derived from its own, unless that says otherwise.
    return type(layer) in _QUANTIZABLE


@contextlib.contextmanager
def quantizing(task):
    """Let the backbone's policy name the layers of a task that are quantized within.

    KerasHub saves which layers of a backbone are quantized: here are those on top of it too.
    """
    with short_collections():
        yield
    policy = task.backbone.dtype_policy
    policy = getattr(policy, "default_policy", policy)
    policies = keras.dtype_policies.DTypePolicyMap(default_policy=policy)
    for layer in task._flatten_layers():
        if layer.quantization_mode is not None:
            policies[layer.path] = policy_for(layer.dtype_policy, layer.path)
    task.backbone.dtype_policy = policies


@contextlib.contextmanager
def without_optimizer(task):
    """Take the optimizer off a task for a while: a preset holds none."""
    optimizer, task.optimizer = task.optimizer, None
    try:
        yield
    finally:
        task.optimizer = optimizer


def with_classes(arguments: dict) -> dict:
    """Return the arguments of `from_preset`, with both that say what the classes are, or none."""
    if arguments.get("class_names") is not None:
        return {"num_classes": len(arguments["class_names"]), **arguments}
    return {**arguments, "class_names": None} if "num_classes" in arguments else arguments


def packing_of_another(cls, place):
    """Return how the preprocessor of a preset packs, if it is not one of `cls`; else None."""
    path = os.path.join(place, "preprocessor.json")
    names = getattr(cls.preprocessor_cls, "packing_arguments", ())
    if not names or not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    if saved["class_name"] == cls.preprocessor_cls.__name__:
        return None
    return {name: saved["config"][name] for name in names if name in saved["config"]}

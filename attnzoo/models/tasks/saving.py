"""Saving of quantized weights, presets without an optimizer, and presets of other tasks."""

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
    """Return whether Keras can quantize a layer."""
    # Exactly these types: Keras refuses subclasses of its layers unless they opt in.
    return type(layer) in _QUANTIZABLE


@contextlib.contextmanager
def quantizing(task):
    """Return a context that records a task's quantized layers in the backbone's policy map.

    KerasHub saves which layers of a backbone are quantized; this adds the layers of the task.
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
    """Return a context in which a task has no optimizer, because a preset holds none."""
    optimizer, task.optimizer = task.optimizer, None
    try:
        yield
    finally:
        task.optimizer = optimizer


def with_classes(arguments: dict) -> dict:
    """Return the arguments of `from_preset` with both arguments about classes, or neither."""
    if arguments.get("class_names") is not None:
        return {"num_classes": len(arguments["class_names"]), **arguments}
    return {**arguments, "class_names": None} if "num_classes" in arguments else arguments


def packing_of_another(cls, place):
    """Return packing arguments of a preset's preprocessor of another task; None for `cls`."""
    path = os.path.join(place, "preprocessor.json")
    names = getattr(cls.preprocessor_cls, "packing_arguments", ())
    if not names or not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    if saved["class_name"] == cls.preprocessor_cls.__name__:
        return None
    return {name: saved["config"][name] for name in names if name in saved["config"]}

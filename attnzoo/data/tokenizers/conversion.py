"""Inputs of tokenizers: Python values, or tensors of any backend, eager or in a graph."""

import sys

import keras
import numpy as np


def in_graph() -> bool:
    """Return whether a `tf.function` is being traced."""
    # If TensorFlow was never imported, no graph is being traced.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and not tensorflow.executing_eagerly()


def to_python(inputs: object) -> object:
    """Return a tensor or array of any backend as (nested) lists; other values unchanged."""
    if isinstance(inputs, (int, str, bytes)):
        return inputs
    if isinstance(inputs, (list, tuple)):
        return [to_python(item) for item in inputs]
    if hasattr(inputs, "to_list"):  # tf.RaggedTensor
        return inputs.to_list()
    if keras.ops.is_tensor(inputs):
        inputs = keras.ops.convert_to_numpy(inputs)
    elif hasattr(inputs, "numpy"):  # A TensorFlow tensor under another backend
        inputs = inputs.numpy()
    return inputs.tolist() if isinstance(inputs, (np.ndarray, np.generic)) else inputs

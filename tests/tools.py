"""Small things that many tests need."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def lengths_mask(lengths, max_length: int) -> np.ndarray:
    """bool [B, S]: True at the first `lengths[b]` places."""
    return np.arange(max_length)[None, :] < np.asarray(lengths)[:, None]


def without_compilation():
    """On JAX, run eager code eagerly: there even a loop over three steps is else compiled."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.disable_jit()


def compiled(function):
    """On JAX, compile a function whole: that is cheaper than operation by operation."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    def run(*args):
        with jax.disable_jit(False):
            return jax.jit(function)(*args)

    return run


def shared(names, everywhere):
    """Cases of a test that `rotates`, but for those that run on every backend."""
    marks = [pytest.mark.everywhere]
    return [pytest.param(name, marks=marks if name in everywhere else []) for name in names]


def to_numpy(tensors):
    """A pytree of tensors as NumPy arrays; half precision as float32."""
    return keras.tree.map_structure(_array, tensors)


def _array(tensor):
    if keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def set_weights(layer, seed: int = 0, scale: float = 0.5) -> None:
    """Give every weight of a layer a value of its own, the same on every backend."""
    draw = np.random.default_rng(seed)
    for weight in layer.weights:
        if "float" in keras.backend.standardize_dtype(weight.dtype):  # Not the seeds.
            weight.assign(draw.normal(size=weight.shape, scale=scale).astype("float32"))


def weights_of(layer) -> dict[str, np.ndarray]:
    """A layer's own weights by name, float64."""
    return {w.name: ops.convert_to_numpy(w).astype("float64") for w in layer.weights}


def assert_close(actual, expected, tolerance: float = 1e-5) -> None:
    """Hold two pytrees of tensors to each other, with the same structure and shapes."""
    actual, expected = to_numpy(actual), to_numpy(expected)
    keras.tree.assert_same_structure(actual, expected)
    for one, other in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)

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


@contextlib.contextmanager
def traced():
    """On TensorFlow, trace what `conftest.py` would run eagerly: many steps are cheaper so."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(eagerly)


def shared(names, everywhere):
    """Cases of a test that `rotates`, but for those that run on every backend."""
    marks = [pytest.mark.everywhere]
    return [pytest.param(name, marks=marks if name in everywhere else []) for name in names]


def compiled_with_free_sizes(model, specs: dict, sizes: dict):
    """A function of a batch that runs a model as Keras exports it: compiled once for all sizes.

    Args:
        model: A functional model with a dict of inputs.
        specs: `"float BTD"` and the like for each input.
        sizes: Letters whose size is fixed. Of the others, equal letters are equal sizes.

    On torch, which compiles nothing here, it is `predict_on_batch`.
    """
    dtypes = {"float": "float32", "int": "int32", "bool": "bool"}
    if keras.backend.backend() == "torch":
        return model.predict_on_batch
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def spec(spec):
            kind, letters = spec.split()
            return tf.TensorSpec([sizes.get(letter) for letter in letters], dtypes[kind])

        specs = keras.tree.map_structure(spec, specs)
        return tf.function(lambda inputs: model(inputs), input_signature=[specs], autograph=False)
    import jax

    scope = jax.export.SymbolicScope()

    def symbolic(spec):
        kind, letters = spec.split()
        names = ",".join(str(sizes.get(letter, letter.lower())) for letter in letters)
        return jax.ShapeDtypeStruct(jax.export.symbolic_shape(names, scope=scope), dtypes[kind])

    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    run = jax.jit(lambda inputs: model.stateless_call(*state, inputs)[0])
    return jax.export.export(run)(keras.tree.map_structure(symbolic, specs)).call


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
            value = draw.normal(size=weight.shape, scale=scale).astype("float32")
            weight.assign(abs(value) + scale if weight.name == "moving_variance" else value)


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

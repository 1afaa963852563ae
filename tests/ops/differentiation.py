"""First derivatives on each backend."""

import keras
import numpy as np
from keras import ops


def outputs_and_gradients(function, tensors, upstream, *, compiled: bool | str = False, known=None):
    """What a function returns, and the gradients of sum(outputs * upstream), as NumPy arrays.

    Args:
        function: Function of tensors to one tensor.
        tensors: List of float arrays, all of them differentiated.
        upstream: Array that fits the outputs, or broadcasts to them.
        compiled: Whether to compile on JAX and TensorFlow; `"xla"` asks TensorFlow for XLA too.
        known: Shapes of the tensors as TensorFlow is to see them while it traces, None for a size
            it is not to know. Other backends always know.

    Returns:
        outputs, list of gradients; float32 where they are half precision.
    """
    run = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]
    outputs, gradients = run(function, tensors, np.asarray(upstream), compiled, known)
    return _array(outputs), [_array(gradient) for gradient in gradients]


def slopes(function, tensors, width=1e-5):
    """Gradients of a function of float64 arrays to a number, by central differences."""
    gradients = [np.zeros_like(tensor) for tensor in tensors]
    for tensor, gradient in zip(tensors, gradients, strict=True):
        for place in np.ndindex(tensor.shape):
            middle = tensor[place]
            tensor[place] = middle + width
            above = function(*tensors)
            tensor[place] = middle - width
            below = function(*tensors)
            tensor[place] = middle
            gradient[place] = (above - below) / (2.0 * width)
    return gradients


def _tensorflow(function, tensors, upstream, compiled, known):
    import tensorflow as tf

    def both(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = function(*tensors)
            total = tf.reduce_sum(outputs * tf.cast(upstream, outputs.dtype))
        return outputs, tape.gradient(total, tensors)

    if compiled:
        signature = known and [
            tf.TensorSpec(shape, tensor.dtype) for shape, tensor in zip(known, tensors, strict=True)
        ]
        both = tf.function(both, jit_compile=compiled == "xla", input_signature=signature)
    return both(*tensors)


def _jax(function, tensors, upstream, compiled, known):
    import jax

    def total(*tensors):
        outputs = function(*tensors)
        return (outputs * upstream.astype(outputs.dtype)).sum(), outputs

    both = jax.grad(total, argnums=tuple(range(len(tensors))), has_aux=True)
    gradients, outputs = (jax.jit(both) if compiled else both)(*tensors)
    return outputs, gradients


def _torch(function, tensors, upstream, compiled, known):
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    outputs = function(*tensors)
    upstream = ops.convert_to_tensor(upstream, dtype=outputs.dtype)
    (outputs * upstream).sum().backward()
    return outputs, [tensor.grad for tensor in tensors]


def _array(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return ops.convert_to_numpy(ops.cast(tensor, "float64" if dtype == "float64" else "float32"))

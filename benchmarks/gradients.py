"""What the contestants of `harness.compare` have in common: a layer's gradients, and their case.

A gradient is of sum(outputs * direction), with regard to all inputs and all weights. A plain sum
would be met by special cases of the compilers.

It is imported by contestants alone: importing a backend here would load it into all of them.
"""

import resource

import harness


def contest(gradients, versions):
    """Facts and the case "gradients", for `harness.serve`.

    Args:
        gradients: Function without arguments that gives the gradients, a list of NumPy arrays.
        versions: What the table says of the libraries.
    """
    import numpy as np

    before = _peak_gib()

    def case(repeats):
        for _ in range(repeats):
            results = gradients()
        return {
            "finite": all(bool(np.isfinite(x).all()) for x in results),
            "elements": sum(x.size for x in results),
            "peak_gib": _peak_gib(),
        }

    return {"versions": versions, "before_gib": before}, {"gradients": case}


def of_keras(layer, call, inputs, direction, *, jit_compile=False):
    """Gradients of a Keras layer, compiled as its backend does, and what they need.

    Args:
        layer: A built layer.
        call: Function of the inputs that gives the layer's outputs.
        inputs: List of NumPy arrays.
        direction: NumPy array, shaped as the outputs.
        jit_compile: Whether TensorFlow compiles with XLA.

    Returns:
        `gradients, versions`, as `contest` takes them.
    """
    import keras

    backend = keras.backend.backend()
    *inputs, direction = (keras.ops.convert_to_tensor(array) for array in (*inputs, direction))
    if backend == "tensorflow":
        compute = _tensorflow(layer, call, jit_compile)
    else:
        compute = {"jax": _jax, "torch": _torch}[backend](layer, call)

    def gradients():
        return [keras.ops.convert_to_numpy(x) for x in compute(inputs, direction)]

    return gradients, harness.versions("keras", backend)


def of_torch(module, call, inputs, direction):
    """Gradients of a `torch.nn.Module`, with nothing of Keras. As `of_keras`, without versions."""
    import torch

    *inputs, direction = (torch.tensor(array) for array in (*inputs, direction))

    def gradients():
        return [x.numpy() for x in _torch_gradients(module.parameters(), call, inputs, direction)]

    return gradients


# === Backends ===


def _tensorflow(layer, call, jit_compile):
    import tensorflow as tf

    @tf.function(jit_compile=jit_compile)
    def gradients(inputs, direction):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(call(*inputs) * direction)
        weights = [weight.value for weight in layer.trainable_variables]
        return tape.gradient(total, [*inputs, *weights])

    return gradients


def _jax(layer, call):
    import jax
    import jax.numpy as jnp
    import keras

    def total(inputs, weights, direction):
        mapping = zip(layer.trainable_variables, weights, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return jnp.sum(call(*inputs) * direction)

    compiled = jax.jit(jax.grad(total, argnums=(0, 1)))

    def gradients(inputs, direction):
        weights = [weight.value for weight in layer.trainable_variables]
        by_inputs, by_weights = compiled(inputs, weights, direction)
        return [*by_inputs, *by_weights]

    return gradients


def _torch(layer, call):
    def gradients(inputs, direction):
        weights = [weight.value for weight in layer.trainable_variables]
        return _torch_gradients(weights, call, inputs, direction)

    return gradients


def _torch_gradients(weights, call, inputs, direction):
    import torch

    inputs = [x.detach().requires_grad_() for x in inputs]
    total = (call(*inputs) * direction).sum()
    return torch.autograd.grad(total, [*inputs, *weights])


def _peak_gib():
    """Largest resident set that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

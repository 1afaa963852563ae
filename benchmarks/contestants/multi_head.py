"""One part in `multi_head.py`: multi-head self-attention, forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `MultiHeadSelfAttention`, "keras" is
`keras.layers.MultiHeadAttention`, both on the backend that `KERAS_BACKEND` names; "torch" is
`torch.nn.MultiheadAttention`.
"""

import resource

import harness


def build(settings):
    """Make the layer, its input and its one case, for `harness.serve`."""
    import numpy as np

    generator = np.random.default_rng(settings["seed"])
    shape = (settings["batch_size"], settings["length"], settings["width"])
    # A direction for the gradient: a plain sum would be met by special cases of the compilers.
    arrays = [generator.standard_normal(shape, dtype="float32") for _ in range(2)]
    make = _torch_layer if settings["layer"] == "torch" else _keras_layer
    gradients, versions = make(settings, *arrays)
    before = _peak_gib()

    def case(repeats):
        for _ in range(repeats):
            results = gradients()
        return {
            "finite": all(bool(np.isfinite(x).all()) for x in results),
            "gradients": len(results),
            "peak_gib": _peak_gib(),
        }

    return {"versions": versions, "before_gib": before}, {"gradients": case}


def _peak_gib():
    """Largest resident set that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# === Gradients of sum(context * direction) with regard to the input and all weights ===


def _torch_layer(settings, inputs, direction):
    import torch

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    layer = torch.nn.MultiheadAttention(settings["width"], settings["heads"], batch_first=True)
    inputs, direction = torch.tensor(inputs), torch.tensor(direction)
    mask = None
    if settings["causal"]:
        length = settings["length"]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length)

    def gradients():
        x = inputs.detach().requires_grad_()
        context, _ = layer(x, x, x, need_weights=False, attn_mask=mask, is_causal=mask is not None)
        total = (context * direction).sum()
        found = torch.autograd.grad(total, [x, *layer.parameters()])
        return [one.numpy() for one in found]

    return gradients, harness.versions("torch")


def _keras_layer(settings, inputs, direction):
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(settings["threads"])
    elif backend == "torch":
        import torch

        torch.set_num_threads(settings["threads"])
    # No `keras.utils.set_random_seed`: it loads TensorFlow beside any backend.
    heads, width, causal = settings["heads"], settings["width"], settings["causal"]
    if settings["layer"] == "attnzoo":
        import attnzoo.layers

        layer = attnzoo.layers.MultiHeadSelfAttention(heads, width // heads, causal=causal)
        layer.build(inputs.shape)
        attend = layer
    else:
        layer = keras.layers.MultiHeadAttention(heads, width // heads)
        layer.build(inputs.shape, inputs.shape)

        def attend(x):
            return layer(x, x, use_causal_mask=causal)

    make = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    inputs, direction = (keras.ops.convert_to_tensor(array) for array in (inputs, direction))
    compute = make(layer, attend, settings["jit_compile"])

    def gradients():
        return [keras.ops.convert_to_numpy(x) for x in compute(inputs, direction)]

    return gradients, harness.versions("keras", backend)


def _tensorflow(layer, attend, jit_compile):
    import tensorflow as tf

    @tf.function(jit_compile=jit_compile)
    def gradients(inputs, direction):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(attend(inputs) * direction)
        weights = [weight.value for weight in layer.trainable_variables]
        return tape.gradient(total, [inputs, *weights])

    return gradients


def _jax(layer, attend, jit_compile):
    import jax
    import jax.numpy as jnp
    import keras

    def total(inputs, weights, direction):
        mapping = zip(layer.trainable_variables, weights, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return jnp.sum(attend(inputs) * direction)

    compiled = jax.jit(jax.grad(total, argnums=(0, 1)))

    def gradients(inputs, direction):
        weights = [weight.value for weight in layer.trainable_variables]
        by_inputs, by_weights = compiled(inputs, weights, direction)
        return [by_inputs, *by_weights]

    return gradients


def _torch(layer, attend, jit_compile):
    import torch

    def gradients(inputs, direction):
        inputs = inputs.detach().requires_grad_()
        total = (attend(inputs) * direction).sum()
        weights = [weight.value for weight in layer.trainable_variables]
        return torch.autograd.grad(total, [inputs, *weights])

    return gradients


if __name__ == "__main__":
    harness.serve(build)

"""One part in `additive_score.py`: additive attention, forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `SoftAttention` over `AdditiveScore`, which projects
query and memory; "keras" is `keras.layers.AdditiveAttention`, which has one vector of weights and
no projection. The backend is the one that `KERAS_BACKEND` names.
"""

import resource

import harness


def build(settings):
    """Make the layer, its inputs and its one case, for `harness.serve`."""
    import keras
    import numpy as np

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(settings["threads"])
    elif backend == "torch":
        import torch

        torch.set_num_threads(settings["threads"])

    keras.utils.set_random_seed(settings["seed"])
    generator = np.random.default_rng(settings["seed"])
    shape = (settings["batch_size"], settings["length"], settings["width"])
    # Directions for the gradient: a plain sum would be met by special cases of the compilers.
    query, memory, direction = (
        keras.ops.convert_to_tensor(generator.standard_normal(shape, dtype="float32"))
        for _ in range(3)
    )

    if settings["layer"] == "attnzoo":
        import attnzoo.layers

        score = attnzoo.layers.AdditiveScore(units=settings["width"])
        layer = attnzoo.layers.SoftAttention(score=score)
        layer.build(shape, shape)
    else:
        layer = keras.layers.AdditiveAttention()
        layer.build([shape, shape])

    def attend(query, memory):
        if settings["layer"] == "attnzoo":
            return layer(query, memory)  # [B, T, D]
        return layer([query, memory])

    gradients = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](layer, attend)
    before = _peak_gib()

    def case(repeats):
        for _ in range(repeats):
            results = [keras.ops.convert_to_numpy(x) for x in gradients(query, memory, direction)]
        return {
            "finite": all(bool(np.isfinite(x).all()) for x in results),
            "gradients": len(results),
            "peak_gib": _peak_gib(),
        }

    facts = {"versions": harness.versions("keras", backend), "before_gib": before}
    return facts, {"gradients": case}


def _peak_gib():
    """Largest resident set that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# === Gradients of sum(context * direction) with regard to query, memory and all weights ===


def _tensorflow(layer, attend):
    import tensorflow as tf

    @tf.function
    def gradients(query, memory, direction):
        with tf.GradientTape() as tape:
            tape.watch([query, memory])
            total = tf.reduce_sum(attend(query, memory) * direction)
        weights = [weight.value for weight in layer.trainable_variables]
        return tape.gradient(total, [query, memory, *weights])

    return gradients


def _jax(layer, attend):
    import jax
    import jax.numpy as jnp
    import keras

    def total(query, memory, weights, direction):
        mapping = zip(layer.trainable_variables, weights, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return jnp.sum(attend(query, memory) * direction)

    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2)))

    def gradients(query, memory, direction):
        weights = [weight.value for weight in layer.trainable_variables]
        by_query, by_memory, by_weights = compiled(query, memory, weights, direction)
        return [by_query, by_memory, *by_weights]

    return gradients


def _torch(layer, attend):
    import torch

    def gradients(query, memory, direction):
        query, memory = (x.detach().requires_grad_() for x in (query, memory))
        total = (attend(query, memory) * direction).sum()
        weights = [weight.value for weight in layer.trainable_variables]
        return torch.autograd.grad(total, [query, memory, *weights])

    return gradients


if __name__ == "__main__":
    harness.serve(build)

"""One part in `additive_score.py`: additive attention, forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `SoftAttention` over `AdditiveScore`, which projects
query and memory; "keras" is `keras.layers.AdditiveAttention`, which has one vector of weights and
no projection. The backend is the one that `KERAS_BACKEND` names.
"""

import gradients
import harness


def build(settings):
    """Make the layer, its inputs and its one case, for `harness.serve`."""
    import keras
    import numpy as np

    harness.use_threads(settings["threads"])
    keras.utils.set_random_seed(settings["seed"])
    generator = np.random.default_rng(settings["seed"])
    shape = (settings["batch_size"], settings["length"], settings["width"])
    query, memory, direction = (generator.standard_normal(shape, dtype="float32") for _ in range(3))

    if settings["layer"] == "attnzoo":
        import attnzoo.layers

        score = attnzoo.layers.AdditiveScore(units=settings["width"])
        layer = attnzoo.layers.SoftAttention(score=score)
        layer.build(shape, shape)
        call = layer
    else:
        layer = keras.layers.AdditiveAttention()
        layer.build([shape, shape])

        def call(query, memory):
            return layer([query, memory])

    return gradients.contest(*gradients.of_keras(layer, call, [query, memory], direction))


if __name__ == "__main__":
    harness.serve(build)

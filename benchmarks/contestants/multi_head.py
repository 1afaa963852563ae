"""One part in `multi_head.py`: multi-head self-attention, forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `MultiHeadSelfAttention`, "keras" is
`keras.layers.MultiHeadAttention`, both on the backend that `KERAS_BACKEND` names; "torch" is
`torch.nn.MultiheadAttention`.
"""

import gradients
import harness


def build(settings):
    """Make the layer, its input and its one case, for `harness.serve`."""
    import numpy as np

    generator = np.random.default_rng(settings["seed"])
    shape = (settings["batch_size"], settings["length"], settings["width"])
    x, direction = (generator.standard_normal(shape, dtype="float32") for _ in range(2))
    make = _torch_layer if settings["layer"] == "torch" else _keras_layer
    return gradients.contest(*make(settings, x, direction))


def _torch_layer(settings, x, direction):
    import torch

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    layer = torch.nn.MultiheadAttention(settings["width"], settings["heads"], batch_first=True)
    mask = None
    if settings["causal"]:
        length = settings["length"]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length)

    def attend(x):
        context, _ = layer(x, x, x, need_weights=False, attn_mask=mask, is_causal=mask is not None)
        return context

    return gradients.of_torch(layer, attend, [x], direction), harness.versions("torch")


def _keras_layer(settings, x, direction):
    import keras

    harness.use_threads(settings["threads"])
    # No `keras.utils.set_random_seed`: it loads TensorFlow beside any backend.
    heads, width, causal = settings["heads"], settings["width"], settings["causal"]
    if settings["layer"] == "attnzoo":
        import attnzoo.layers

        layer = attnzoo.layers.MultiHeadSelfAttention(heads, width // heads, causal=causal)
        layer.build(x.shape)
        attend = layer
    else:
        layer = keras.layers.MultiHeadAttention(heads, width // heads)
        layer.build(x.shape, x.shape)

        def attend(x):
            return layer(x, x, use_causal_mask=causal)

    return gradients.of_keras(layer, attend, [x], direction, jit_compile=settings["jit_compile"])


if __name__ == "__main__":
    harness.serve(build)

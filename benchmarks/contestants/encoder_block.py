"""One part in `encoder_block.py`: an encoder block, forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `TransformerEncoderBlock` and "keras_hub" is
`keras_hub.layers.TransformerEncoder`, both on the backend that `KERAS_BACKEND` names; "torch" is
`torch.nn.TransformerEncoderLayer`; "x_transformers" is an `Encoder` of one layer, by torch's fused
kernel.

In all of them norms come first, the hidden features go through max(., 0), and nothing is masked or
dropped. x-transformers has no biases in attention and norms.
"""

import gradients
import harness


def build(settings):
    """Make the block, its input and its one case, for `harness.serve`."""
    import numpy as np

    generator = np.random.default_rng(settings["seed"])
    shape = (settings["batch_size"], settings["length"], settings["width"])
    x, direction = (generator.standard_normal(shape, dtype="float32") for _ in range(2))
    makers = {"torch": make_torch, "x_transformers": make_x_transformers}
    if settings["layer"] in makers:
        import torch

        torch.set_num_threads(settings["threads"])
        torch.manual_seed(settings["seed"])
        block, versions = makers[settings["layer"]](settings)
        compute = gradients.of_torch(block, block, [x], direction)
    else:
        harness.use_threads(settings["threads"])
        block = make_keras(settings)
        compute, versions = gradients.of_keras(
            block, block, [x], direction, jit_compile=settings["jit_compile"]
        )
    return gradients.contest(compute, versions)


def make_keras(settings):
    """Our block or KerasHub's, built."""
    width, heads, hidden = settings["width"], settings["heads"], settings["feed_forward_dim"]
    if settings["layer"] == "attnzoo":
        import attnzoo.layers

        block = attnzoo.layers.TransformerEncoderBlock(width, heads, feed_forward_dim=hidden)
    else:
        import keras_hub

        block = keras_hub.layers.TransformerEncoder(hidden, heads, normalize_first=True)
    block.build((None, None, width))
    return block


def make_torch(settings):
    """torch's block, and its version."""
    import torch

    block = torch.nn.TransformerEncoderLayer(
        settings["width"],
        settings["heads"],
        settings["feed_forward_dim"],
        dropout=0.0,
        batch_first=True,
        norm_first=True,
    )
    return block, harness.versions("torch")


def make_x_transformers(settings):
    """The block of x-transformers, and its version."""
    import torch
    import x_transformers

    width, heads = settings["width"], settings["heads"]
    block = x_transformers.Encoder(
        dim=width,
        depth=1,
        heads=heads,
        attn_dim_head=width // heads,
        attn_flash=True,
        ff_mult=settings["feed_forward_dim"] / width,
        ff_custom_activation=torch.nn.ReLU(),
        pre_norm_has_final_norm=False,
    )
    return block, harness.versions("torch", "x-transformers")


if __name__ == "__main__":
    harness.serve(build)

"""One part in `hat_block.py`: a block of HAT, forward or forward and backward, on one backend.

The settings name the `layer`: "attnzoo" is `HybridAttentionBlock` on the backend that
`KERAS_BACKEND` names; "spandrel" is the block of the paper's code, with torch. The weights of both
are those that torch draws.
"""

import sys
import types
import unittest.mock

import gradients
import harness

CHANNELS, HEADS, WINDOW = 180, 6, 16


def build(settings):
    """Make the block, its input and its one case, for `harness.serve`."""
    import numpy as np

    generator = np.random.default_rng(settings["seed"])
    shape = (1, settings["length"], settings["length"], CHANNELS)
    x, direction = (generator.standard_normal(shape, dtype="float32") for _ in range(2))
    both = settings["passes"] == "both"
    if settings["layer"] == "spandrel":
        import torch

        torch.set_num_threads(settings["threads"])
        block, call = make_spandrel(settings)
        versions = harness.versions("spandrel", "torch")
        if both:
            compute = gradients.of_torch(block, call, [x], direction)
        else:
            compute = _forward_of_torch(call, torch.tensor(x))
    else:
        harness.use_threads(settings["threads"])
        block = make_ours(settings)
        if both:
            compute, versions = gradients.of_keras(
                block, block, [x], direction, jit_compile=settings["jit_compile"]
            )
        else:
            compute, versions = _forward_of_keras(block, x, settings["jit_compile"])
    return gradients.contest(compute, versions)


def make_ours(settings):
    """Our block, built."""
    from attnzoo.layers import HybridAttentionBlock

    block = HybridAttentionBlock(HEADS, WINDOW, shift=settings["shift"])
    block.build((None, settings["length"], settings["length"], CHANNELS))
    return block


def make_spandrel(settings):
    """The block of the paper's code, and a function of an image [B, H, W, C] that calls it."""
    import torch

    _without_torchvision()
    from spandrel.architectures.HAT.__arch.HAT import HAB, HAT

    side, shift = settings["length"], settings["shift"]
    block = HAB(
        CHANNELS,
        (side, side),
        HEADS,
        window_size=WINDOW,
        shift_size=shift,
        compress_ratio=3,
        squeeze_factor=30,
        conv_scale=0.01,
        mlp_ratio=2.0,
    ).eval()
    # What the whole network computes once for all of its blocks.
    around = types.SimpleNamespace(window_size=WINDOW, shift_size=WINDOW // 2)
    places = HAT.calculate_rpi_sa(around)
    mask = HAT.calculate_mask(around, (side, side), torch.float32)

    def call(x):
        rows = torch.reshape(x, (1, side * side, CHANNELS))
        return torch.reshape(block(rows, (side, side), places, mask), x.shape)

    return block, call


def _without_torchvision():
    """Let spandrel import torchvision, which other architectures of it use."""
    for name in ("", ".models", ".ops", ".transforms", ".transforms.functional"):
        stub = unittest.mock.MagicMock()
        stub.__spec__, stub.__path__ = None, []
        sys.modules.setdefault(f"torchvision{name}", stub)


def _forward_of_torch(call, x):
    import torch

    @torch.no_grad()
    def forward():
        return [call(x).numpy()]

    return forward


def _forward_of_keras(block, x, jit_compile):
    import keras

    backend = keras.backend.backend()
    x = keras.ops.convert_to_tensor(x)
    if backend == "tensorflow":
        import tensorflow as tf

        run = tf.function(block, jit_compile=jit_compile)
    elif backend == "jax":
        import jax

        run = jax.jit(block)
    else:
        import torch

        run = torch.no_grad()(block)
    return lambda: [keras.ops.convert_to_numpy(run(x))], harness.versions("keras", backend)


if __name__ == "__main__":
    harness.serve(build)

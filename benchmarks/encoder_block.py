"""Time and memory of one Transformer encoder block, forward and backward, beside its peers.

    python benchmarks/encoder_block.py
    python benchmarks/encoder_block.py --backends torch --lengths 64,256 --rounds 9

"attnzoo" is `TransformerEncoderBlock`, "keras_hub" is `keras_hub.layers.TransformerEncoder` on the
same backend, "torch" is `torch.nn.TransformerEncoderLayer`, and "x_transformers" is an `Encoder` of
one layer by torch's fused kernel. On TensorFlow and JAX the last two run beside, on torch. All have
the norm first and no dropout; x-transformers has no biases in attention and norms.

x-transformers takes part where it is installed (`pip install x-transformers`). How numbers are made
is said in `multi_head.py`.
"""

import argparse
import importlib.util

import harness

BACKENDS = ("tensorflow", "jax", "torch")
LAYERS = ("attnzoo", "keras_hub", "torch", "x_transformers")
PEERS = LAYERS[1:]
BATCH_SIZE = 16
WIDTH = 256
HEADS = 8
FEED_FORWARD_DIM = 1024
SEED = 0
# Repeats in one turn times steps: short cases are done more often.
STEPS_A_TURN = 1024


def main(arguments=None):
    """Run the benchmark and print its table.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: As in `harness.compare`.
    """
    options = _parse(arguments)
    layers = _installed(options.layers)

    def cases():
        for length in options.lengths:
            for backend in options.backends:
                yield {
                    "layers": layers,
                    "script": "contestants/encoder_block.py",
                    "settings": {
                        "batch_size": options.batch_size,
                        "length": length,
                        "width": WIDTH,
                        "heads": HEADS,
                        "feed_forward_dim": FEED_FORWARD_DIM,
                        "jit_compile": options.xla,
                    },
                    "backend": backend,
                    "repeats": max(1, STEPS_A_TURN // length),
                }

    title = (
        f"B={options.batch_size}, D={WIDTH}, N={HEADS}, feed-forward {FEED_FORWARD_DIM}, float32, "
        "forward and backward"
    )
    harness.run(options, title=title, seed=SEED, cases=cases, peers=PEERS, digits=1)


def _installed(layers):
    """The layers, without x-transformers where it is not installed."""
    if "x_transformers" not in layers or importlib.util.find_spec("x_transformers"):
        return layers
    print("x-transformers is not installed, and left out: pip install x-transformers", flush=True)
    return [layer for layer in layers if layer != "x_transformers"]


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--layers", type=harness.names("layer", LAYERS), default=LAYERS)
    parser.add_argument(
        "--lengths", type=harness.lengths, default=[64, 256, 512, 1024], help="T, in steps"
    )
    parser.add_argument("--batch-size", type=harness.at_least_one, default=BATCH_SIZE)
    parser.add_argument("--xla", action="store_true", help="compile on TensorFlow with XLA")
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

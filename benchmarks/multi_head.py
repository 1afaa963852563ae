"""Time and memory of multi-head self-attention, forward and backward, beside Keras's and torch's.

    python benchmarks/multi_head.py
    python benchmarks/multi_head.py --backends jax --lengths 64,256 --rounds 9

"attnzoo" is `MultiHeadSelfAttention`, "keras" is `keras.layers.MultiHeadAttention` on the same
backend, and "torch" is `torch.nn.MultiheadAttention`, which has the same projections and biases and
goes by torch's fused kernel. Nobody asks for the alignments.

Each number comes from a child process that does nothing else. Peak memory is the largest resident
set that it ever had, libraries included (in brackets, what it was before the first call). Time is
milliseconds for the context and its gradients with regard to the input and all weights. The
contestants of one backend and length take turns, and a ratio is taken within one round.
"""

import argparse

import harness

BACKENDS = ("tensorflow", "jax", "torch")
LAYERS = ("attnzoo", "keras", "torch")
BATCH_SIZE = 16
WIDTH = 256
HEADS = 8
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

    def cases():
        for length in options.lengths:
            for backend in options.backends:
                yield {
                    "layers": options.layers,
                    "script": "contestants/multi_head.py",
                    "settings": {
                        "batch_size": options.batch_size,
                        "length": length,
                        "width": WIDTH,
                        "heads": HEADS,
                        "causal": options.causal,
                        "jit_compile": options.xla,
                    },
                    "backend": backend,
                    "repeats": max(1, STEPS_A_TURN // length),
                }

    causal = ", causal" if options.causal else ""
    title = f"B={options.batch_size}, D={WIDTH}, N={HEADS}, float32, forward and backward{causal}"
    harness.run(options, title=title, seed=SEED, cases=cases, peers=["keras", "torch"], digits=1)


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--layers", type=harness.names("layer", LAYERS), default=LAYERS)
    parser.add_argument(
        "--lengths", type=harness.lengths, default=[64, 256, 512, 1024], help="T=S, in steps"
    )
    parser.add_argument("--batch-size", type=harness.at_least_one, default=BATCH_SIZE)
    parser.add_argument("--causal", action="store_true", help="each step sees those before it")
    parser.add_argument("--xla", action="store_true", help="compile on TensorFlow with XLA")
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Memory and time of additive attention, forward and backward, beside Keras's own.

    python benchmarks/additive_score.py
    python benchmarks/additive_score.py --backends jax --lengths 256 --rounds 9

Additive attention compares each query with each key in a space of U units. Written down plainly
that is a tensor [B, T, S, U]: 16 GiB at B=16, T=S=1024, U=256 in float32, several times over with
its gradient. attnzoo works in blocks of T instead and makes each block again in the backward pass.

Each number comes from a child process that does nothing else. Peak memory is the largest resident
set that it ever had, libraries included (in brackets, what it was before the first call). Time is
milliseconds for the context and its gradients with regard to query, memory and all weights.
`keras.layers.AdditiveAttention` takes part at the lengths of `--keras-lengths` only: at 1024 it
does not fit in 24 GiB. The two take turns within one backend, so no more than two processes hold
memory.
"""

import argparse

import harness

BACKENDS = ("tensorflow", "jax", "torch")
BATCH_SIZE = 16
WIDTH = 256
SEED = 0
REPEATS = 3
LONG = 512  # steps; from here on, a turn is one repeat


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
            too_long = () if length in options.keras_lengths else ("keras",)
            layers = [layer for layer in options.layers if layer not in too_long]
            for backend in options.backends if layers else ():
                yield {
                    "layers": layers,
                    "script": "contestants/additive_score.py",
                    "settings": {"batch_size": BATCH_SIZE, "length": length, "width": WIDTH},
                    "backend": backend,
                    "repeats": 1 if length >= LONG else REPEATS,
                }

    title = f"B={BATCH_SIZE}, D=U={WIDTH}, float32, forward and backward"
    harness.run(options, title=title, seed=SEED, cases=cases, peers=["keras"], digits=0)


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument(
        "--layers", type=harness.names("layer", ("attnzoo", "keras")), default=("attnzoo", "keras")
    )
    parser.add_argument(
        "--lengths", type=harness.lengths, default=[256, 1024], help="T=S, in steps"
    )
    parser.add_argument(
        "--keras-lengths",
        type=harness.lengths,
        default=[256],
        help="lengths at which Keras takes part: 256 takes 6 GiB, 512 up to 18 (default: 256)",
    )
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

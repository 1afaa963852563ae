"""Time and memory of one hybrid attention block of HAT, beside the paper's code in torch.

    python benchmarks/hat_block.py
    python benchmarks/hat_block.py --backends torch --passes forward --shift 0

"attnzoo" is `HybridAttentionBlock`, and "spandrel" the block of the paper's code as spandrel keeps
it, with torch. Both have a window of 16, 6 heads, 180 channels and exact gelus. spandrel must be
installed (`pip install spandrel`); torchvision, which it imports and this block does not use, need
not be. How numbers are made is said in `multi_head.py`.
"""

import argparse

import harness

BACKENDS = ("tensorflow", "jax", "torch")
LAYERS = ("attnzoo", "spandrel")
PASSES = ("forward", "both")
SEED = 0


def main(arguments=None):
    """Run the benchmark and print its table.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: As in `harness.compare`.
    """
    options = _parse(arguments)

    def cases():
        for backend in options.backends:
            yield {
                "layers": options.layers,
                "script": "contestants/hat_block.py",
                "settings": {
                    "length": options.side,
                    "shift": options.shift,
                    "passes": options.passes,
                    "jit_compile": options.xla,
                },
                "backend": backend,
                "repeats": options.repeats,
            }

    passes = "forward" if options.passes == "forward" else "forward and backward"
    title = (
        f"B=1, H=W={options.side}, C=180, N=6, window 16, shift {options.shift}, float32, {passes}"
    )
    harness.run(options, title=title, seed=SEED, cases=cases, peers=LAYERS[1:], digits=1)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--layers", type=harness.names("layer", LAYERS), default=LAYERS)
    parser.add_argument("--passes", choices=PASSES, default="both")
    parser.add_argument("--side", type=harness.at_least_one, default=64, help="H and W, in pixels")
    parser.add_argument("--shift", type=int, choices=(0, 8), default=8, help="in pixels")
    parser.add_argument("--repeats", type=harness.at_least_one, default=3, help="in one turn")
    parser.add_argument("--xla", action="store_true", help="compile on TensorFlow with XLA")
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

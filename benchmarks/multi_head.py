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
import json
import os
import statistics

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
        RuntimeError: If a contestant dies (the kernel may end one that takes too much memory) or
            returns a number that is not finite.
    """
    options = _parse(arguments)
    machine = harness.machine()
    harness.use_cores(options.threads)
    print(
        f"{machine['cpu']}, {options.threads} threads, load average {machine['load']} before; "
        f"{options.rounds} interleaved rounds, seed {SEED}\n"
        f"B={options.batch_size}, D={WIDTH}, N={HEADS}, float32, forward and backward"
        f"{', causal' if options.causal else ''}\n",
        flush=True,
    )
    records = []
    for length in options.lengths:
        for backend in options.backends:
            records += _compare(options, backend, length)
    _print_table(records)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "records": records}, file, indent=2)
            file.write("\n")


def _compare(options, backend, length):
    """Records of the layers at one length on one backend, measured in turns."""
    contestants, peaks = [], {}

    def check(name, reply):
        if not reply["finite"]:
            raise RuntimeError(f"{name} on {backend} gave a gradient that is not finite.")
        peaks[name] = reply["peak_gib"]

    try:
        for layer in options.layers:
            settings = {
                "threads": options.threads,
                "layer": layer,
                "batch_size": options.batch_size,
                "length": length,
                "width": WIDTH,
                "heads": HEADS,
                "causal": options.causal,
                "jit_compile": options.xla,
                "seed": SEED,
            }
            contestants.append(
                harness.Contestant(
                    layer,
                    script="contestants/multi_head.py",
                    settings=settings,
                    environment={"KERAS_BACKEND": "torch" if layer == "torch" else backend},
                )
            )
        neighbours = harness.Neighbours(contestants)
        times = harness.measure(
            contestants,
            case="gradients",
            repeats=max(1, STEPS_A_TURN // length),
            rounds=options.rounds,
            check=check,
        )
        others = neighbours.report()
    finally:
        for contestant in contestants:
            contestant.close()
    return [
        {
            "backend": backend,
            "length": length,
            "layer": contestant.name,
            "versions": contestant.facts["versions"],
            "others": others,
            "before_gib": contestant.facts["before_gib"],
            "peak_gib": peaks[contestant.name],
            "milliseconds": times[contestant.name],
            "ratios": {
                peer: harness.ratios(times[contestant.name], times[peer])
                for peer in ("keras", "torch")
                if peer in times and contestant.name == "attnzoo"
            },
            "memory_ratios": {
                peer: peaks[contestant.name] / peaks[peer]
                for peer in ("keras", "torch")
                if peer in peaks and contestant.name == "attnzoo"
            },
        }
        for contestant in contestants
    ]


def _print_table(records):
    def ratio(record, peer):
        if peer not in record["ratios"]:
            return ""
        memory = record["memory_ratios"][peer]
        return f"{harness.spread(record['ratios'][peer], 2)}, {memory:.2f}"

    rows = [
        (
            record["layer"],
            record["versions"],
            record["length"],
            f"{record['peak_gib']:.2f} ({record['before_gib']:.2f})",
            harness.spread(record["milliseconds"], 1),
            ratio(record, "keras"),
            ratio(record, "torch"),
        )
        for record in records
    ]
    peers = ["/ keras: ms, GiB", "/ torch: ms, GiB"]
    header = ["layer", "versions", "T=S", "peak GiB (before)", "ms (range)", *peers]
    print(harness.table(header, rows), flush=True)
    for backend, length, others in dict.fromkeys(
        (record["backend"], record["length"], record["others"]) for record in records
    ):
        print(f"{backend}, T=S={length}: {others}")
    for peer in ("keras", "torch"):
        compared = [record for record in records if peer in record["ratios"]]
        if compared:
            worst = max(compared, key=lambda record: statistics.median(record["ratios"][peer]))
            print(f"slowest of ours beside {peer}: {worst['backend']}, T=S={worst['length']}")


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--layers", type=harness.names("layer", LAYERS), default=LAYERS)
    parser.add_argument(
        "--lengths", type=_lengths, default=[64, 256, 512, 1024], help="T=S, in steps"
    )
    parser.add_argument("--batch-size", type=harness.at_least_one, default=BATCH_SIZE)
    parser.add_argument("--causal", action="store_true", help="each step sees those before it")
    parser.add_argument("--xla", action="store_true", help="compile on TensorFlow with XLA")
    parser.add_argument("--threads", type=harness.at_least_one, default=min(2, os.cpu_count()))
    parser.add_argument("--rounds", type=harness.at_least_one, default=5)
    parser.add_argument("--json", metavar="PATH", help="write all numbers here too")
    return parser.parse_args(arguments)


def _lengths(text):
    return [harness.at_least_one(part) for part in text.split(",")]


if __name__ == "__main__":
    main()

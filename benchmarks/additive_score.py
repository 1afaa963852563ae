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
import json
import os
import statistics

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
        RuntimeError: If a contestant dies (the kernel may end one that takes too much memory) or
            returns a number that is not finite.
    """
    options = _parse(arguments)
    machine = harness.machine()
    harness.use_cores(options.threads)
    print(
        f"{machine['cpu']}, {options.threads} threads, load average {machine['load']} before; "
        f"{options.rounds} interleaved rounds, seed {SEED}\n"
        f"B={BATCH_SIZE}, D=U={WIDTH}, float32, forward and backward\n",
        flush=True,
    )
    records = []
    for length in options.lengths:
        for backend in options.backends:
            layers = [
                layer
                for layer in options.layers
                if layer != "keras" or length in options.keras_lengths
            ]
            if layers:
                records += _compare(options, backend, length, layers)
    _print_table(records)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "records": records}, file, indent=2)
            file.write("\n")


def _compare(options, backend, length, layers):
    """Records of the layers at one length on one backend, measured in turns."""
    contestants, peaks = [], {}

    def check(name, reply):
        if not reply["finite"]:
            raise RuntimeError(f"{name} on {backend} gave a gradient that is not finite.")
        peaks[name] = reply["peak_gib"]

    try:
        for layer in layers:
            settings = {
                "threads": options.threads,
                "layer": layer,
                "batch_size": BATCH_SIZE,
                "length": length,
                "width": WIDTH,
                "seed": SEED,
            }
            contestants.append(
                harness.Contestant(
                    layer,
                    script="contestants/additive_score.py",
                    settings=settings,
                    environment={"KERAS_BACKEND": backend},
                )
            )
        neighbours = harness.Neighbours(contestants)
        times = harness.measure(
            contestants,
            case="gradients",
            repeats=1 if length >= LONG else REPEATS,
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
            "ratios": (
                harness.ratios(times[contestant.name], times["keras"])
                if "keras" in times and contestant.name != "keras"
                else None
            ),
        }
        for contestant in contestants
    ]


def _print_table(records):
    rows = [
        (
            record["layer"],
            record["versions"],
            record["length"],
            f"{record['peak_gib']:.2f} ({record['before_gib']:.2f})",
            harness.spread(record["milliseconds"], 0),
            harness.spread(record["ratios"], 2) if record["ratios"] else "",
        )
        for record in records
    ]
    header = ["layer", "versions", "T=S", "peak GiB (before)", "ms (range)", "/ keras"]
    print(harness.table(header, rows), flush=True)
    for backend, length, others in dict.fromkeys(
        (record["backend"], record["length"], record["others"]) for record in records
    ):
        print(f"{backend}, T=S={length}: {others}")
    ours = [record for record in records if record["layer"] == "attnzoo"]
    if ours:
        peak = max(ours, key=lambda record: record["peak_gib"])
        print(f"\nhighest peak of ours: {peak['peak_gib']:.2f} GiB, {peak['backend']}")
    compared = [record for record in ours if record["ratios"]]
    if compared:
        worst = max(compared, key=lambda record: statistics.median(record["ratios"]))
        print(f"slowest of ours beside Keras: {worst['backend']}, T=S={worst['length']}")


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument(
        "--layers", type=harness.names("layer", ("attnzoo", "keras")), default=("attnzoo", "keras")
    )
    parser.add_argument("--lengths", type=_lengths, default=[256, 1024], help="T=S, in steps")
    parser.add_argument(
        "--keras-lengths",
        type=_lengths,
        default=[256],
        help="lengths at which Keras takes part: 256 takes 6 GiB, 512 up to 18 (default: 256)",
    )
    parser.add_argument("--threads", type=harness.at_least_one, default=min(2, os.cpu_count()))
    parser.add_argument("--rounds", type=harness.at_least_one, default=5)
    parser.add_argument("--json", metavar="PATH", help="write all numbers here too")
    return parser.parse_args(arguments)


def _lengths(text):
    return [harness.at_least_one(part) for part in text.split(",")]


if __name__ == "__main__":
    main()

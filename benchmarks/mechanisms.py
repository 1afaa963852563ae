"""What a training step with one attention costs, as a multiple of its soft counterpart's.

    python benchmarks/mechanisms.py
    python benchmarks/mechanisms.py --attentions chunkwise,coverage --backends jax --rounds 9

The model is `RNNSeq2SeqLM` at a size for pronunciations: hidden 200, embedding 100, nothing fed
back, words of 9 tokens and pronunciations of 8. The counterpart has the same order: `luong` for the
local attentions and those that are summed out of the likelihood, `bahdanau` for the others. The two
take turns, and a ratio is taken within one round.
"""

import argparse

import harness

BACKENDS = ("tensorflow", "jax", "torch")
# Each with its soft counterpart and the order that both have.
PAIRS = {
    **dict.fromkeys(
        ("hard_exact", "exact_monotonic", "exact_monotonic_zeroth"), ("luong", "after")
    ),
    **dict.fromkeys(("local_monotonic", "local_predictive"), ("luong", "after")),
    **dict.fromkeys(("hard", "hard_straight_through", "hard_gumbel"), ("bahdanau", "before")),
    **dict.fromkeys(("sparsemax", "entmax15", "monotonic", "chunkwise"), ("bahdanau", "before")),
    **dict.fromkeys(("location_sensitive", "coverage"), ("bahdanau", "before")),
}
SHAPE = {"vocabulary_size": 43, "source_length": 9, "target_length": 8}
MODEL = {"embedding_dim": 100, "hidden_dim": 200, "batch_size": 64}
STEPS_A_TURN = 30


def main(arguments=None):
    """Run the benchmark and print its table.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: If a contestant dies, or its loss is not finite.
    """
    options = _parse(arguments)
    machine = harness.machine()
    harness.use_cores(options.threads)
    print(
        f"{machine['cpu']}, {options.threads} threads, load average {machine['load']} before; "
        f"{options.rounds} interleaved rounds of {STEPS_A_TURN} steps, B={MODEL['batch_size']}\n",
        flush=True,
    )
    records = [
        _compare(options, backend, attention)
        for backend in options.backends
        for attention in options.attentions
    ]
    header = ["attention", "counterpart", "versions", "ms (range)", "ratio (range)", "others"]
    rows = [
        (
            record["attention"],
            record["counterpart"],
            record["versions"],
            harness.spread(record["milliseconds"], 1),
            harness.spread(record["ratios"], 2),
            record["others"],
        )
        for record in records
    ]
    print(harness.table(header, rows), flush=True)
    if options.json:
        harness.save(options.json, {"machine": machine, "records": records})


def _compare(options, backend, attention):
    """Record of one attention beside its counterpart, measured in turns."""
    counterpart, attend = PAIRS[attention]
    contestants = []

    def check(name, reply):
        if not reply["finite"]:
            raise RuntimeError(f"The loss of {name} on {backend} is not finite.")

    try:
        for name in (attention, counterpart):
            contestants.append(
                harness.Contestant(
                    name,
                    script="contestants/mechanism.py",
                    settings={
                        "threads": options.threads,
                        "attention": name,
                        "attend": attend,
                        "shape": SHAPE,
                        **MODEL,
                    },
                    environment={"KERAS_BACKEND": backend},
                )
            )
        neighbours = harness.Neighbours(contestants)
        times = harness.measure(
            contestants, case="train", repeats=STEPS_A_TURN, rounds=options.rounds, check=check
        )
        others = neighbours.report()
    finally:
        for contestant in contestants:
            contestant.close()
    return {
        "backend": backend,
        "attention": attention,
        "counterpart": counterpart,
        "versions": contestants[0].facts["versions"],
        "others": others,
        "milliseconds": times[attention],
        "ratios": harness.ratios(times[attention], times[counterpart]),
    }


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument(
        "--attentions",
        type=harness.names("attention", PAIRS),
        default=("hard_exact", "exact_monotonic", "hard"),
    )
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Speed of decoding with attnzoo's Transformer, beside JoeyNMT, and by the length of the output.

    python benchmarks/transformer_decoding.py --joeynmt .venv-joeynmt/bin/python
    python benchmarks/transformer_decoding.py --backends jax --growth 64,512 --rounds 1

Contestants: `TransformerSeq2SeqLM` on each backend (`contestants/transformer_decoding.py`), which
keeps the keys and values of the steps before, and with `--joeynmt` the same model in JoeyNMT
(`peers/joeynmt_transformer.py`, which says how to make the environment that it needs), which runs
all steps before at each step. All make as many tokens: nothing ends early.

The first table is of the length that `workload.py` says. A ratio is our time as a multiple of
JoeyNMT's **in the same round**. The second table is of ours alone: milliseconds for one token of
all sentences, by the length of the output; the sentences' own encoding is a part of it.
"""

import argparse
import statistics

import harness
import workload

BACKENDS = ("tensorflow", "jax", "torch")
PEER = "JoeyNMT"
SENTENCES = 64
LAYERS = 3
MODEL = {"hidden_dim": 256, "num_heads": 4, "feed_forward_dim": 1024}


def main(arguments=None):
    """Run the benchmark and print its tables.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: If a contestant dies, or does not make the tokens that all must make.
    """
    options = _parse(arguments)
    machine = harness.machine()
    harness.use_cores(options.threads)
    print(
        f"{machine['cpu']}, {options.threads} threads, load average {machine['load']} before; "
        f"{options.rounds} interleaved rounds, seed {workload.SEED}\n"
        f"V={workload.VOCABULARY_SIZE}, D={MODEL['hidden_dim']}, N={MODEL['num_heads']}, "
        f"feed-forward {MODEL['feed_forward_dim']}, {LAYERS} blocks each, "
        f"S={workload.SOURCE_LENGTH}, {options.sentences} sentences, beam {workload.NUM_BEAMS}, "
        "float32\n",
        flush=True,
    )
    contestants = []
    try:
        for name, arguments_of in _entries(options):
            contestants.append(harness.Contestant(name, **arguments_of))
        beside = _measure(options, contestants, workload.TARGET_LENGTH)
        _print_beside(contestants, beside)
        ours = [contestant for contestant in contestants if contestant.name != PEER]
        growth = [_measure(options, ours, length) for length in options.growth if ours]
        if growth:
            _print_growth(growth)
    finally:
        for contestant in contestants:
            contestant.close()
    if options.json:
        facts = {contestant.name: contestant.facts for contestant in contestants}
        record = {"machine": machine, "contestants": facts, "beside": beside, "growth": growth}
        harness.save(options.json, record)


def _entries(options):
    """Name and `Contestant` arguments of each contestant: ours first, then the peer."""
    settings = {
        "threads": options.threads,
        "sentences": options.sentences,
        "model": MODEL,
        "layers": LAYERS,
        "lengths": [workload.TARGET_LENGTH],
    }
    for backend in options.backends:
        yield (
            f"attnzoo {backend}",
            {
                "script": "contestants/transformer_decoding.py",
                "settings": {**settings, "lengths": [workload.TARGET_LENGTH, *options.growth]},
                "environment": {"KERAS_BACKEND": backend},
            },
        )
    if options.joeynmt:
        yield (
            PEER,
            {
                "script": "peers/joeynmt_transformer.py",
                "settings": settings,
                "python": options.joeynmt,
            },
        )


def _measure(options, contestants, length):
    """Milliseconds of all contestants for outputs of one length, and what others took meanwhile."""

    def check(name, reply):
        expected = [options.sentences, length]
        if reply["shape"] != expected:
            raise RuntimeError(
                f"{name} must make tokens of shape {expected}. Received: shape={reply['shape']}"
            )

    neighbours = harness.Neighbours(contestants)
    times = harness.measure(
        contestants, case=str(length), repeats=1, rounds=options.rounds, check=check
    )
    return {"length": length, "milliseconds": times, "others": neighbours.report()}


# === Tables ===


def _print_beside(contestants, found):
    times = found["milliseconds"]
    peer_times = times.get(PEER)
    rows = [
        (
            contestant.name,
            contestant.facts["versions"],
            f"{contestant.facts['parameters']:,}",
            harness.spread(times[contestant.name], 1),
            ""
            if peer_times is None or contestant.name == PEER
            else harness.spread(harness.ratios(times[contestant.name], peer_times), 2),
        )
        for contestant in contestants
    ]
    print(f"outputs of {found['length']} tokens ({found['others']})")
    header = ["contestant", "versions", "parameters", "ms (range)", f"/ {PEER}"]
    print(harness.table(header, rows), flush=True)


def _print_growth(growth):
    """Milliseconds a token by the length, and the last length's as a multiple of the first's."""

    def per_token(found, name):
        return [time / found["length"] for time in found["milliseconds"][name]]

    rows = []
    for name in growth[0]["milliseconds"]:
        medians = [statistics.median(per_token(found, name)) for found in growth]
        cells = [harness.spread(per_token(found, name), 2) for found in growth]
        rows.append((name, *cells, f"{medians[-1] / medians[0]:.2f}"))
    lengths = [found["length"] for found in growth]
    print("\nms a token, by the tokens of the output")
    header = ["contestant", *lengths, f"{lengths[-1]} / {lengths[0]}"]
    print(harness.table([str(name) for name in header], rows), flush=True)
    for found in growth:
        print(f"{found['length']} tokens: {found['others']}")


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--joeynmt", metavar="PYTHON", help="interpreter that has JoeyNMT")
    parser.add_argument("--sentences", type=harness.at_least_one, default=SENTENCES)
    parser.add_argument(
        "--growth",
        type=lambda text: harness.lengths(text) if text else [],
        default=[64, 128, 256, 512],
        help="lengths of the second table, in tokens ('' for no such table)",
    )
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Speed of attnzoo's sequence-to-sequence model beside its peers, on one machine, in one run.

    python benchmarks/seq2seq.py
    python benchmarks/seq2seq.py --tfa .venv-tfa/bin/python --json results.json
    python benchmarks/seq2seq.py --cases train,beam1 --backends jax --rounds 9

Contestants: `RNNSeq2SeqLM` on each backend (`contestants/attnzoo_seq2seq.py`), a model written by
hand in eager PyTorch (`peers/torch_seq2seq.py`), and with `--tfa` the same model in tfa.seq2seq
(`peers/tfa_seq2seq.py`, which says how to make the environment that it needs). Cases and sizes are
in `workload.py`; how turns are given, in `harness.py`.

Times are wall-clock milliseconds of one training step, or of decoding one batch. A cell such as
"12.3 (11.9-13.0)" is the median over the rounds and their range. A ratio is our time as a multiple
of the peer's **in the same round** (below 1: we are faster), again as median and range. Run it on a
quiet machine: each table says what other processes took meanwhile.
"""

import argparse
import statistics

import harness
import workload

BACKENDS = ("tensorflow", "jax", "torch")
TORCH_PEER = "pytorch by hand"
TFA_PEER = "tfa.seq2seq"


def main(arguments=None):
    """Run the benchmark and print its tables.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: If a contestant dies, or does not do the work that all must do.
    """
    options = _parse(arguments)
    load = harness.machine()["load"]
    harness.use_cores(options.threads)
    machine = harness.machine() | {"load": load}
    contestants = []
    try:
        for name, arguments_of in _entries(options):
            print(f"building {name} ...", flush=True)
            contestants.append(harness.Contestant(name, **arguments_of))
        _print_head(options, machine, contestants)
        times, others = {}, {}
        for case_name in options.cases:
            case = workload.CASES[case_name]
            neighbours = harness.Neighbours(contestants)
            times[case_name] = harness.measure(
                contestants,
                case=case_name,
                repeats=case.repeats,
                rounds=options.rounds,
                check=_checker(case),
            )
            others[case_name] = neighbours.report()
            _print_case(case, times[case_name], others[case_name])
    finally:
        for contestant in contestants:
            contestant.close()
    if options.json:
        harness.save(options.json, _record(options, machine, contestants, times, others))


def _entries(options):
    """Name and `Contestant` arguments of each contestant: ours first, then the peers."""
    settings = {"threads": options.threads, "cases": options.cases}
    for backend in options.backends:
        yield (
            f"attnzoo {backend}",
            {
                "script": "contestants/attnzoo_seq2seq.py",
                "settings": settings,
                "environment": {"KERAS_BACKEND": backend},
            },
        )
    yield TORCH_PEER, {"script": "peers/torch_seq2seq.py", "settings": settings}
    if options.tfa:
        yield (
            TFA_PEER,
            {"script": "peers/tfa_seq2seq.py", "settings": settings, "python": options.tfa},
        )


def _checker(case):
    """What makes a turn count: a finite loss, or as many tokens as all must make."""
    expected = [case.batch_size, workload.TARGET_LENGTH]

    def check(name, reply):
        if case.kind == "train":
            if not 0 < reply["loss"] < 100:
                raise RuntimeError(f"{name} does not train. Received: loss={reply['loss']}")
        elif reply["shape"] != expected:
            raise RuntimeError(
                f"{name} must make tokens of shape {expected}. Received: shape={reply['shape']}"
            )

    return check


# === Tables ===


def _print_head(options, machine, contestants):
    print(
        f"\n{machine['cpu']}, {options.threads} threads, load average {machine['load']} before; "
        f"{options.rounds} interleaved rounds, seed {workload.SEED}"
    )
    print(
        f"V={workload.VOCABULARY_SIZE}, embedding {workload.EMBEDDING_DIM}, "
        f"LSTM {workload.HIDDEN_DIM}, one layer each, S={workload.SOURCE_LENGTH}, "
        f"T={workload.TARGET_LENGTH}, float32\n"
    )
    rows = [
        (contestant.name, contestant.facts["versions"], f"{contestant.facts['parameters']:,}")
        for contestant in contestants
    ]
    print(harness.table(["contestant", "versions", "parameters"], rows), flush=True)


def _print_case(case, times, others):
    peers = _peers(times)
    rows = []
    for name, own in times.items():
        cells = [
            "" if name == peer else harness.spread(harness.ratios(own, times[peer]), 2)
            for peer in peers
        ]
        rows.append([name, harness.spread(own, 1), *cells])
    header = ["", "ms (range)", *[f"/ {peer}" for peer in peers]]
    print(f"\n{case.title} ({others})")
    print(harness.table(header, rows), flush=True)
    for label, name in _best_and_worst(times):
        peer = min(peers, key=lambda peer: statistics.median(times[peer]))
        ratio = harness.spread(harness.ratios(times[name], times[peer]), 2)
        print(f"{label} of ours, {name}: {ratio} of the better peer, {peer}", flush=True)


def _peers(times):
    return [name for name in times if name in (TORCH_PEER, TFA_PEER)]


def _best_and_worst(times):
    ours = sorted(
        (name for name in times if name not in _peers(times)),
        key=lambda name: statistics.median(times[name]),
    )
    return [("best", ours[0]), ("worst", ours[-1])] if ours else []


def _record(options, machine, contestants, times, others):
    """Everything that was printed, and every single turn, for JSON."""
    return {
        "machine": machine,
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": workload.SEED,
        "contestants": {contestant.name: contestant.facts for contestant in contestants},
        "others": others,
        "milliseconds": times,
        "ratios": {
            case_name: {
                f"{name} / {peer}": statistics.median(harness.ratios(own, case_times[peer]))
                for name, own in case_times.items()
                for peer in _peers(case_times)
                if name != peer
            }
            for case_name, case_times in times.items()
        },
    }


# === Command line ===


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases",
        type=harness.names("case", workload.CASES),
        default=list(workload.CASES),
        help=f"comma-separated, of {','.join(workload.CASES)} (default: all)",
    )
    parser.add_argument(
        "--backends",
        type=harness.names("backend", BACKENDS),
        default=list(BACKENDS),
        help=f"comma-separated, of {','.join(BACKENDS)} (default: all; '' for the peers alone)",
    )
    parser.add_argument("--tfa", metavar="PYTHON", help="interpreter that has tfa.seq2seq")
    harness.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Speed and size of one trained model in each export format: one word at a time, on one thread.

    python benchmarks/exports.py
    python benchmarks/exports.py --before greedy/old beam/old --rounds 9

The built-in preset decodes 20 words one by one, whole decode with scores and alignments, greedy and
with five beams. Each format is a child process with its own runtime, and they take turns. All must
give the same tokens. `--before` adds two SavedModels that an earlier version wrote with
`inputs="ids"`, greedy and with five beams; ratios are then to them, else to the SavedModel.
"""

import argparse
import pathlib
import tempfile

import harness
from contestants.exported import FORMATS, PRESET

SCRIPT = "contestants/exported.py"


def main(arguments=None):
    """Run the benchmark and print its table.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Raises:
        RuntimeError: If two formats give different tokens.
    """
    options = _parse(arguments)
    harness.use_cores(1)
    machine = harness.machine()
    records = []
    with tempfile.TemporaryDirectory() as folder:
        writer = harness.Contestant(
            "writer",
            script=SCRIPT,
            settings={"threads": 1, "write": folder},
            environment={"KERAS_BACKEND": "tensorflow"},
        )
        words = writer.facts["words"]
        writer.close()
        for n, sampler in enumerate(("greedy", "beam")):
            places = {name: f"{folder}/{sampler}/{name}" for name in FORMATS}
            if options.before:
                places = {"SavedModel before": options.before[n], **places}
            records += _compare(sampler, places, words, options.rounds)
    print(f"{PRESET}, {len(words)} words one by one, 1 thread, ms a word")
    peer = next(iter(records))["format"]
    rows = [
        (
            f"{one['format']}, {one['sampler']}",
            harness.spread(one["milliseconds"], 2),
            harness.spread(one["ratios"], 2),
            f"{one['megabytes']:.2f}",
        )
        for one in records
    ]
    print(harness.table(("format", "ms (range)", f"/ {peer}", "MB"), rows))
    for others in dict.fromkeys(one["others"] for one in records):
        print(others)
    if options.json:
        harness.save(options.json, {"machine": {**machine, "threads": 1}, "records": records})


def _compare(sampler, places, words, rounds):
    """Measure the exports of one sampler beside each other."""
    contestants, tokens = [], {}

    def check(name, reply):
        tokens[name] = reply["ids"]
        first = next(iter(tokens))
        if reply["ids"] != tokens[first]:
            raise RuntimeError(f"{name} and {first} gave different tokens.")

    try:
        for name, place in places.items():
            settings = {"threads": 1, "folder": str(place), "words": words}
            contestants.append(
                harness.Contestant(
                    name,
                    script=SCRIPT,
                    settings=settings,
                    environment={"KERAS_BACKEND": "tensorflow"},
                )
            )
        neighbours = harness.Neighbours(contestants)
        times = harness.measure(contestants, case="words", repeats=5, rounds=rounds, check=check)
        others = neighbours.report()
    finally:
        for contestant in contestants:
            contestant.close()
    times = {name: [time / len(words) for time in found] for name, found in times.items()}
    peer = times[next(iter(places))]
    return [
        {
            "format": name,
            "sampler": sampler,
            "milliseconds": found,
            "ratios": harness.ratios(found, peer),
            "megabytes": _megabytes(places[name]),
            "others": others,
        }
        for name, found in times.items()
    ]


def _megabytes(folder):
    files = pathlib.Path(folder).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", nargs=2, metavar="FOLDER", help="greedy, and with five beams")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Whether attnzoo gives the numbers of tfa.seq2seq, with the same weights, on each backend.

    python benchmarks/tfa_parity.py --tfa .venv-tfa/bin/python
    python benchmarks/tfa_parity.py --tfa .venv-tfa/bin/python --backends jax

For each case of `parity.py` weights and inputs are drawn once and handed to both sides as files:
to tfa.seq2seq itself (`peers/tfa_parity.py`; `peers/tfa_seq2seq.py` says how to make the
environment that it needs), and to attnzoo on each backend (`contestants/attnzoo_parity.py`). The
table has the largest difference of all numbers of a case, |ours - theirs| / max(1, |theirs|). The
command fails if one is above 1e-5, or a hypothesis of a search is another.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import parity

BACKENDS = ("tensorflow", "jax", "torch")
TOLERANCE = 1e-5


def main(arguments=None):
    """Run all cases and print the table.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.

    Returns:
        0 if everything is within the tolerance, else 1.

    Raises:
        RuntimeError: If a contestant dies.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        parity.save_all(arrays, options.cases)
        theirs, versions = _results(
            "tfa.seq2seq", "peers/tfa_parity.py", arrays, options, python=options.tfa
        )
        print(f"tfa.seq2seq: {versions}", flush=True)
        differences = {}
        for backend in options.backends:
            ours, versions = _results(
                f"attnzoo {backend}",
                "contestants/attnzoo_parity.py",
                arrays,
                options,
                environment={"KERAS_BACKEND": backend},
            )
            print(f"attnzoo {backend}: {versions}", flush=True)
            differences[backend] = {
                name: difference(ours[name], theirs[name]) for name in options.cases
            }
    rows = [
        [name, *[f"{differences[backend][name]:.1e}" for backend in options.backends]]
        for name in options.cases
    ]
    print()
    print(harness.table(["largest difference", *options.backends], rows))
    # Not a number is not within the tolerance either.
    failed = [
        f"{name} ({backend})"
        for backend in options.backends
        for name in options.cases
        if not differences[backend][name] <= TOLERANCE
    ]
    if failed:
        print(f"\nabove {TOLERANCE}: {', '.join(failed)}")
        return 1
    print(f"\nall within {TOLERANCE}")
    return 0


def difference(ours, theirs):
    """The largest of |ours - theirs| / max(1, |theirs|) over all arrays of a case.

    Args:
        ours: Dict from names to arrays.
        theirs: Dict from the same names to arrays.

    Returns:
        A float; infinity if a shape differs.

    Raises:
        ValueError: If the names are not the same.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"Both sides must give the same arrays. Received: {sorted(ours)} and {sorted(theirs)}"
        )
    largest = 0.0
    for name in theirs:
        one, other = (np.asarray(side[name], dtype="float64") for side in (ours, theirs))
        if one.shape != other.shape:
            return float("inf")
        relative = np.abs(one - other) / np.maximum(1.0, np.abs(other))
        largest = np.maximum(largest, relative.max(initial=0.0))  # keeps what is not a number
    return float(largest)


def _results(name, script, arrays, options, **arguments):
    """What one side gives for each case, and its versions."""
    file = arrays.with_name("results.npz")
    settings = {"threads": 1, "arrays": str(arrays), "results": str(file)}
    contestant = harness.Contestant(name, script=script, settings=settings, **arguments)
    found = {}
    try:
        for case in options.cases:
            contestant.run(str(list(parity.CASES).index(case)), 1)
            with np.load(file) as results:
                found[case] = dict(results)
        return found, contestant.facts["versions"]
    finally:
        contestant.close()


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tfa", metavar="PYTHON", required=True, help="interpreter that has tfa.seq2seq"
    )
    parser.add_argument(
        "--backends",
        type=harness.names("backend", BACKENDS),
        default=list(BACKENDS),
        help=f"comma-separated, of {','.join(BACKENDS)} (default: all)",
    )
    parser.add_argument("--only", default="", help="cases whose name contains this (default: all)")
    options = parser.parse_args(arguments)
    options.cases = [name for name in parity.CASES if options.only in name]
    if not options.cases:
        parser.error(f"no case has {options.only!r} in its name. Known: {', '.join(parity.CASES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())

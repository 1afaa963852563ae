"""Whether attnzoo gives the numbers of a peer: both begin with the same arrays.

A peer's benchmark names its cases and draws their arrays. A contestant of the peer and one of
attnzoo on each backend, in processes of their own, do each case and write what they get. The table
has the largest difference of all numbers of a case, |ours - theirs| / max(1, |theirs|).

This file is imported by each contestant in its own environment, so it needs NumPy alone.
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import harness
import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A peer, and how attnzoo is held to it.

    Args:
        peer: What the tables call it.
        theirs: Its contestant, a file under `benchmarks/`.
        ours: attnzoo's contestant.
        cases: Names of all cases.
        draw: Function of a case's name to a dict of the arrays it begins with.
        tolerance: Largest difference that is none.
        environment: Variables that attnzoo's contestant gets besides the backend's name.
    """

    peer: str
    theirs: str
    ours: str
    cases: Iterable[str]
    draw: Callable
    tolerance: float
    environment: dict = dataclasses.field(default_factory=dict)

    def run(self, options):
        """Run the cases that are asked for and print the table.

        Args:
            options: What `parse` gave.

        Returns:
            0 if everything is within the tolerance, else 1.

        Raises:
            RuntimeError: If a contestant dies.
        """
        with tempfile.TemporaryDirectory() as folder:
            arrays = Path(folder) / "arrays.npz"
            save(arrays, {name: self.draw(name) for name in options.cases})
            theirs, versions = self._results(
                self.peer, self.theirs, arrays, options, python=options.python
            )
            print(f"{self.peer}: {versions}", flush=True)
            differences = {}
            for backend in options.backends:
                ours, versions = self._results(
                    f"attnzoo {backend}",
                    self.ours,
                    arrays,
                    options,
                    environment={**self.environment, "KERAS_BACKEND": backend},
                )
                print(f"attnzoo {backend}: {versions}", flush=True)
                differences[backend] = {
                    name: difference(ours[name], theirs[name]) for name in options.cases
                }
        return report(differences, options.cases, self.tolerance)

    def _results(self, name, script, arrays, options, **arguments):
        """What one side gives for each case, and its versions."""
        file = arrays.with_name("results.npz")
        settings = {"threads": 1, "arrays": str(arrays), "results": str(file)}
        contestant = harness.Contestant(name, script=script, settings=settings, **arguments)
        found = {}
        try:
            for case in options.cases:
                contestant.run(str(list(self.cases).index(case)), 1)
                with np.load(file) as results:
                    found[case] = dict(results)
            return found, contestant.facts["versions"]
        finally:
            contestant.close()


def report(differences, cases, tolerance):
    """Print the table: 0 if all is within the tolerance, else 1."""
    rows = [[name, *[f"{found[name]:.1e}" for found in differences.values()]] for name in cases]
    print()
    print(harness.table(["largest difference", *differences], rows))
    # Not a number is not within the tolerance either.
    failed = [
        f"{name} ({backend})"
        for backend, found in differences.items()
        for name in cases
        if not found[name] <= tolerance
    ]
    if failed:
        print(f"\nabove {tolerance}: {', '.join(failed)}")
        return 1
    print(f"\nall within {tolerance}")
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


# === The arrays ===


def save(path, arrays):
    """Write the arrays of all cases, dicts by the cases' names, into one file."""
    np.savez(
        path, **{f"{name}|{key}": array for name in arrays for key, array in arrays[name].items()}
    )


def load(path, name):
    """The arrays of one case out of the file with those of all."""
    with np.load(path) as arrays:
        start = f"{name}|"
        return {key[len(start) :]: arrays[key] for key in arrays.files if key.startswith(start)}


def make_cases(settings, names, do, to_numpy=np.array):
    """The cases as `harness.serve` wants them; each writes what it gives to a file.

    Args:
        settings: A dict with the paths `arrays`, of what `save` wrote, and `results`.
        names: Names of all cases.
        do: Function of a case's name and its arrays to a dict from names to numbers.
        to_numpy: Function of such numbers to a NumPy array.

    Returns:
        A dict from the number of a case, as a string, to a function of `repeats`.
    """

    def make(name):
        def run(repeats):
            results = do(name, load(settings["arrays"], name))
            np.savez(settings["results"], **{key: to_numpy(one) for key, one in results.items()})
            return {}

        return run

    return {str(n): make(name) for n, name in enumerate(names)}


# === Command line ===


def parse(arguments, description, cases, *, peer_option, required=False):
    """Options of a comparison: `python` of the peer, `backends` and `cases`.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.
        description: Text of `--help`.
        cases: Names of all cases.
        peer_option: Name of the option for the peer's interpreter, such as `"--tfa"`.
        required: Whether it must be given; else it is this interpreter.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        peer_option,
        dest="python",
        metavar="PYTHON",
        required=required,
        default=sys.executable,
        help="interpreter that has the peer" + ("" if required else " (default: this one)"),
    )
    parser.add_argument(
        "--backends",
        type=harness.names("backend", BACKENDS),
        default=list(BACKENDS),
        help=f"comma-separated, of {','.join(BACKENDS)} (default: all)",
    )
    parser.add_argument("--only", default="", help="cases whose name contains this (default: all)")
    options = parser.parse_args(arguments)
    options.cases = [name for name in cases if options.only in name]
    if not options.cases:
        parser.error(f"no case has {options.only!r} in its name. Known: {', '.join(cases)}")
    return options


def missing(python, *pins):
    """What an interpreter lacks of packages pinned as "name==version": a line, or None."""
    code = "import sys; from importlib.metadata import version as v\n" + "\n".join(
        f"assert v({name!r}).split('+')[0] == {version!r}"
        for name, version in (pin.split("==") for pin in pins)
    )
    if subprocess.run([python, "-c", code], capture_output=True).returncode == 0:
        return None
    return (
        f"skipped: {python} lacks {' '.join(pins)}. Make an environment with `python -m venv "
        f".venv-peer` and `.venv-peer/bin/pip install numpy {' '.join(pins)}`, and name its python."
    )

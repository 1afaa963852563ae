"""Whether attnzoo's sparse normalizers give the numbers of the entmax package, on each backend.

    python benchmarks/entmax_parity.py --entmax .venv-entmax/bin/python
    python benchmarks/entmax_parity.py --entmax .venv-entmax/bin/python --backends jax

`sparsemax` and `entmax15`: weights, and the gradient of the scores. A mask is -inf for entmax.
Without the package the command says so and ends. It fails if a difference, as in `agreement.py`, is
above 1e-6.

This file is imported by each contestant, so it needs NumPy alone.
"""

import itertools
import sys

import agreement
import numpy as np

SEED = 0
ROWS, PLACES = 17, 13
FUNCTIONS = ("sparsemax", "entmax15")
KINDS = ("scores", "mask", "wide scores", "equal scores")
CASES = {f"{function}, {kind}": function for function, kind in itertools.product(FUNCTIONS, KINDS)}


def draw(name):
    """The arrays that a case begins with: float32 [ROWS, PLACES], and a bool mask in some."""
    random = np.random.default_rng([SEED, list(CASES).index(name)])
    scores = random.normal(size=(ROWS, PLACES))
    if name.endswith("wide scores"):
        scores *= 30.0  # One place takes all, mostly.
    if name.endswith("equal scores"):
        scores = np.round(scores)
    arrays = {"scores": scores, "direction": random.normal(size=(ROWS, PLACES))}
    arrays = {key: array.astype("float32") for key, array in arrays.items()}
    if name.endswith("mask"):
        arrays["mask"] = random.random((ROWS, PLACES)) < 0.5
        arrays["mask"][:, 0] = True  # No row is without a place to attend to.
    return arrays


COMPARISON = agreement.Comparison(
    "entmax",
    theirs="peers/entmax_functions.py",
    ours="contestants/attnzoo_entmax.py",
    cases=CASES,
    draw=draw,
    tolerance=1e-6,
)


def main(arguments=None):
    """Run all cases and print the table: 0 if all is within the tolerance, else 1."""
    options = agreement.parse(arguments, __doc__, CASES, peer_option="--entmax")
    lacking = agreement.missing(options.python, "torch==2.13.0", "entmax==1.3")
    if lacking:
        print(lacking)
        return 0
    return COMPARISON.run(options)


if __name__ == "__main__":
    sys.exit(main())

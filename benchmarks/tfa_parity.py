"""Whether attnzoo gives the numbers of tfa.seq2seq, with the same weights, on each backend.

    python benchmarks/tfa_parity.py --tfa .venv-tfa/bin/python
    python benchmarks/tfa_parity.py --tfa .venv-tfa/bin/python --backends jax

For each case of `parity.py` weights and inputs are drawn once and handed to both sides as files:
to tfa.seq2seq itself (`peers/tfa_parity.py`; `peers/tfa_seq2seq.py` says how to make the
environment that it needs), and to attnzoo on each backend (`contestants/attnzoo_parity.py`). The
command fails if a difference, as in `agreement.py`, is above 1e-5, or a hypothesis of a search is
another.
"""

import sys

import agreement
import parity

COMPARISON = agreement.Comparison(
    "tfa.seq2seq",
    theirs="peers/tfa_parity.py",
    ours="contestants/attnzoo_parity.py",
    cases=parity.CASES,
    draw=parity.draw,
    tolerance=1e-5,
)


def main(arguments=None):
    """Run all cases and print the table: 0 if all is within the tolerance, else 1."""
    options = agreement.parse(arguments, __doc__, parity.CASES, peer_option="--tfa", required=True)
    return COMPARISON.run(options)


if __name__ == "__main__":
    sys.exit(main())

"""Checks of the inputs of all plots: printable tokens, finite weights, and their scale."""

from collections.abc import Sequence

import numpy as np

VISIBLE = str.maketrans({" ": "␣", "\t": "⇥", "\n": "↵", "\r": "↵"})


def printable(token: object) -> str:
    """Return a token as text without blanks and control characters."""
    text = str(token).translate(VISIBLE)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text


def check_finite(name: str, weights: np.ndarray):
    """Raise if a weight, or another value, is not finite."""
    if not np.isfinite(weights).all():
        wrong = weights[~np.isfinite(weights)][0]
        raise ValueError(f"{name} must be finite. Received: a value of {wrong}")


def largest(arrays: Sequence[np.ndarray], vmax: float | None) -> float:
    """Return the weight of the last colour: `vmax`, or the largest absolute value."""
    if vmax is None:
        return max(float(np.abs(array).max()) for array in arrays) or 1.0
    if not vmax > 0:
        raise ValueError(f"`vmax` must be above 0. Received: vmax={vmax}")
    return vmax


def require_matplotlib(function: str):
    """Raise, with the remedy, if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"`{function}` needs matplotlib. Install it with: pip install 'attnzoo[plot]'"
        ) from error

"""Tokens of a text coloured by weight: HTML for a notebook, or codes for a terminal."""

import html
import os
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attnzoo.plotting.inputs import check_finite, largest, printable

POSITIVE, NEGATIVE = (0, 114, 178), (213, 94, 0)  # blue, vermilion: safe for colour blindness
MOST_OPAQUE = 0.7  # so that black on white and white on black both stay legible
# From the 256 colours of a terminal, from low to high weight; white is legible on each.
POSITIVE_CODES, NEGATIVE_CODES = (60, 61, 25, 26), (95, 131, 124, 160)
_WHITE = 231


class HighlightedText(str):
    """HTML of one text, which a notebook renders."""

    def _repr_html_(self):
        return str(self)


def highlight_html(
    tokens: Sequence[str],
    weights: ArrayLike,
    *,
    title: str | None = None,
    separator: str = " ",
    vmax: float | None = None,
) -> HighlightedText:
    """Colour a text's tokens by their weights, for a notebook or a page.

    A larger weight gives a stronger background colour: blue above 0, orange below. The text keeps
    the page's own colour, so it is legible on light and dark pages. A tooltip on a token shows its
    weight.

    Args:
        tokens: S tokens; a string is split into its characters.
        weights: float [S]: alignments, or signed scores such as a task's `saliency`. Weights past
            the tokens are padding and are removed.
        title: Text before the tokens, in bold.
        separator: Text between two tokens; `""` for characters.
        vmax: Weight of the strongest colour, above 0. By default the largest absolute weight.

    Returns:
        A string of HTML, with all tokens escaped. A notebook renders it if it is the last value of
        a cell.

    Raises:
        ValueError: If there are no tokens, fewer weights than tokens, a weight is not finite, or
            `vmax` is not above 0.

    Example:
        >>> attnzoo.plotting.highlight_html(["not", "bad"], [-0.25, 1.0], title="positive")
    """
    spans = [
        f'<span style="{_css(fraction)}" title="{weight:.3g}">{html.escape(token)}</span>'
        for token, weight, fraction in _scaled(tokens, weights, vmax)
    ]
    bold = f"<b>{html.escape(title)}</b>&ensp;" if title else ""
    text = html.escape(separator).join(spans)
    return HighlightedText(f'<div style="line-height: 1.9">{bold}{text}</div>')


def highlight_terminal(
    tokens: Sequence[str],
    weights: ArrayLike,
    *,
    separator: str = " ",
    color: bool | None = None,
    vmax: float | None = None,
) -> str:
    """Colour a text's tokens by their weights, for a terminal.

    A larger weight gives a stronger background colour, in four steps: blue above 0, red below.
    Tokens with less than an eighth of `vmax` are not coloured. Without colours, the other tokens
    are in brackets with their weights.

    Args:
        tokens: S tokens; a string is split into its characters.
        weights: float [S], as in `highlight_html`.
        separator: Text between two tokens; `""` for characters.
        color: Whether to use colours. None uses them if standard output is a terminal with colours,
            unless `NO_COLOR` is set in the environment.
        vmax: Weight of the strongest colour, above 0. By default the largest absolute weight.

    Returns:
        A string to print.

    Raises:
        ValueError: As `highlight_html` does.

    Example:
        >>> print(attnzoo.plotting.highlight_terminal(["not", "bad"], [0.01, 0.99], color=False))
        not [bad 0.99]
    """
    color = _has_colors() if color is None else color
    scaled = _scaled(tokens, weights, vmax)
    sign = "+" if any(weight < 0 for _, weight, _ in scaled) else ""
    parts = []
    for token, weight, fraction in scaled:
        step = int(4 * abs(fraction) + 0.5)
        if not step:
            parts.append(token)
        elif color:
            codes = POSITIVE_CODES if fraction > 0 else NEGATIVE_CODES
            parts.append(f"\x1b[38;5;{_WHITE};48;5;{codes[step - 1]}m{token}\x1b[0m")
        else:
            parts.append(f"[{token} {weight:{sign}.2g}]")
    return separator.join(parts)


def _scaled(tokens, weights, vmax):
    """Return for each token its text, its weight, and its weight / `vmax` in [-1, 1]."""
    tokens = [printable(token) for token in tokens]
    weights = np.asarray(weights, dtype="float64")
    if not tokens:
        raise ValueError("There must be at least one token. Received: none")
    if weights.ndim != 1 or len(weights) < len(tokens):
        raise ValueError(
            f"`weights` must be of rank 1, with at least one for each of {len(tokens)} tokens. "
            f"Received: shape={weights.shape}"
        )
    weights = weights[: len(tokens)]
    check_finite("`weights`", weights)
    fractions = np.clip(weights / largest([weights], vmax), -1.0, 1.0)
    return list(zip(tokens, weights.tolist(), fractions.tolist(), strict=True))


def _css(fraction):
    red, green, blue = POSITIVE if fraction > 0 else NEGATIVE
    color = f"rgba({red}, {green}, {blue}, {MOST_OPAQUE * abs(fraction):.2f})"
    return f"background: {color}; border-radius: 3px; padding: 2px 3px"


def _has_colors():
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()

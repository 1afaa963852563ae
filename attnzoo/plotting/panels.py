"""Panels of a figure: checked weights, printable labels, and the style that they share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnzoo.plotting.inputs import check_finite, largest, printable

LONGEST_LABEL = 24  # characters; a longer token ends in an ellipsis


class Panel(NamedTuple):
    """One heat map: weights [T, S], a label for each row and column, and a title or None."""

    alignments: np.ndarray
    source_labels: list
    target_labels: list
    title: str | None


class Style(NamedTuple):
    """The style that all panels of a figure share."""

    source_label: str
    target_label: str
    cmap: str
    vmax: float


def make_panel(
    array: np.ndarray,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    title: str | None,
    *,
    name: str,
) -> Panel:
    """Return a panel of one alignment, float [T, S] after its padding is removed."""
    source_labels = [_label(token) for token in source_tokens]
    target_labels = [_label(token) for token in target_tokens]
    target_length, source_length = len(target_labels), len(source_labels)
    if not target_length or not source_length:
        raise ValueError(
            f"{name} need at least 1 source token and 1 target token. "
            f"Received: {source_length} source tokens and {target_length} target tokens"
        )
    if array.shape[0] < target_length or array.shape[1] < source_length:
        raise ValueError(
            f"{name} must have a row for each target token and a column for each source token, "
            f"at least ({target_length}, {source_length}). Received: shape={array.shape}"
        )
    array = array[:target_length, :source_length].astype("float64")
    check_finite(name, array)
    if array.min() < 0:
        raise ValueError(f"{name} must be at least 0. Received: a weight of {array.min()}")
    return Panel(array, source_labels, target_labels, title)


def _label(token):
    text = printable(token)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def make_style(
    panels: Sequence[Panel], source_label: str, target_label: str, cmap: str, vmax: float | None
):
    """Return the style of panels; `vmax` is by default the largest weight of all panels."""
    vmax = largest([panel.alignments for panel in panels], vmax)
    return Style(source_label, target_label, cmap, vmax)

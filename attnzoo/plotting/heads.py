"""A grid of small heat maps, one for each head of each layer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attnzoo.plotting.drawing import (
    add_axes,
    draw_weights,
    new_figure,
    set_labels,
    style_bar,
    write,
)
from attnzoo.plotting.inputs import require_matplotlib
from attnzoo.plotting.layout import (
    EDGE,
    HEADING_TEXT,
    LINE,
    SMALL_TEXT,
    SMALLEST_TEXT,
    measure,
    text_width,
    wrap,
)
from attnzoo.plotting.panels import make_panel, make_style

GAP = 0.12  # inches between heat maps
SMALLEST_SIDE = 0.75  # inches; the name of a head needs this much
USUAL_SIDE = 1.3  # inches; few tokens get larger cells
LARGEST_CELL = 0.2  # inches
WIDEST_GRID = 18.0  # inches of heat maps; with more tokens and heads, labels are thinned


def plot_heads(
    alignments: ArrayLike,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str] | None = None,
    *,
    title: str | None = None,
    source_label: str = "looked at",
    target_label: str = "looking",
    cmap: str = "Blues",
    vmax: float | None = None,
):
    """Draw all heads of all layers for one text or pair: layers in rows, heads in columns.

    Layers and heads are counted from 1. All heat maps have the same tokens, which are shown once,
    above the first row and beside the first column.

    Args:
        alignments: float [L, N, T, S]. Weights, at least 0. Rows and columns past the tokens are
            padding and are removed.
        source_tokens: S tokens that are attended to; a string is split into its characters.
        target_tokens: T tokens that attend; None if they are the source tokens, T = S.
        title: Title of the figure.
        source_label: Name of the columns of a heat map.
        target_label: Name of its rows.
        cmap: Name of a matplotlib colour map.
        vmax: Weight of the last colour, above 0. By default the largest weight drawn.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `alignments` have a wrong rank, have fewer rows or columns than tokens, or
            are negative or not finite; if there are no tokens; or if `vmax` is invalid.

    Example:
        >>> text = "a good film"
        >>> alignments = task.head_alignments([text])[0]  # [L, N, S, S]
        >>> figure = attnzoo.plotting.plot_heads(alignments, task.preprocessor.tokens(text))
        >>> figure.savefig("heads.png")
    """
    require_matplotlib("plot_heads")
    alignments = np.asarray(alignments)
    if alignments.ndim != 4 or 0 in alignments.shape[:2]:
        raise ValueError(
            "`alignments` must be of rank 4, [L, N, T, S], with at least 1 layer and 1 head. "
            f"Received: shape={alignments.shape}"
        )
    target_tokens = source_tokens if target_tokens is None else target_tokens
    rows = [
        [make_panel(head, source_tokens, target_tokens, None, name="`alignments`") for head in one]
        for one in alignments
    ]
    style = make_style([panel for row in rows for panel in row], "", "", cmap, vmax)
    return _draw_grid(rows, style, title, f"rows: {target_label}; columns: {source_label}")


def _draw_grid(rows, style, heading, caption):
    """Return a new figure of heat maps of one size, with a colour bar beside the first row."""
    size = _size(rows[0][0].alignments.shape, len(rows[0]))
    box = measure(rows[0][0], size)
    left = EDGE + box.left
    bar_left = left + len(rows[0]) * (box.width + GAP) + max(box.right - GAP, 0.05)
    width = max(bar_left + 0.85, text_width(caption, SMALL_TEXT) / 72 + 2 * EDGE)
    heading_lines = wrap(heading, HEADING_TEXT, width - 2 * EDGE) if heading else []
    caption_top = EDGE + len(heading_lines) * LINE * HEADING_TEXT / 72 + (0.06 if heading else 0.0)
    first = caption_top + (LINE * SMALL_TEXT + 4) / 72 + box.top
    height = first + len(rows) * (box.height + GAP) - GAP + EDGE

    figure = new_figure(width, height)
    write(figure, heading_lines, EDGE, EDGE, HEADING_TEXT, weight="bold")
    write(figure, [caption], EDGE, caption_top, SMALL_TEXT, color="0.35")
    for layer, row in enumerate(rows):
        for head, panel in enumerate(row):
            place = left + head * (box.width + GAP), first + layer * (box.height + GAP)
            ax = add_axes(figure, *place, box.width, box.height)
            names = {
                "source_label": "" if layer else f"head {head + 1}",
                "target_label": "" if head else f"layer {layer + 1}",
            }
            image = draw_weights(ax, panel, style._replace(**names))
            set_labels(ax, panel, box.width, box.height, above=not layer, beside=not head)
    bar_axes = add_axes(figure, bar_left, first, 0.14, min(3.0, height - first - EDGE))
    style_bar(figure.colorbar(image, cax=bar_axes))
    return figure


def _size(shape, num_heads):
    """Return width and height of a heat map [T, S] with cells as high as the smallest text."""
    target_length, source_length = shape
    cell = max(min(USUAL_SIDE / max(shape), LARGEST_CELL), 1.02 * LINE * SMALLEST_TEXT / 72)
    cell = min(cell, WIDEST_GRID / (num_heads * source_length))
    return max(cell * source_length, SMALLEST_SIDE), max(cell * target_length, SMALLEST_SIDE)

"""Heat maps of the alignments of one pair, or of many pairs on a page."""

from collections.abc import Iterable, Sequence
from typing import Any

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
    GAP,
    HEADING_TEXT,
    LINE,
    TITLE_TEXT,
    WIDEST_ROW,
    measure,
    wrap,
)
from attnzoo.plotting.panels import make_panel, make_style


def plot_alignments(
    alignments: ArrayLike,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    title: str | None = None,
    ax: Any = None,
    panel_titles: Sequence[str] | None = None,
    columns: int | None = None,
    source_label: str = "source",
    target_label: str = "output",
    cmap: str = "Blues",
    vmax: float | None = None,
):
    """Draw the alignments of one pair as a heat map, source tokens against output tokens.

    The figure grows with the number of tokens. To keep labels apart, they are rotated, then shrunk,
    then thinned (every second, third, ... is shown). A space is shown as ␣.

    Args:
        alignments: float [T, S], or several for the same pair, drawn side by side: float [N, T, S]
            or a list of [T, S]. Weights, at least 0. Rows and columns past the tokens are padding
            and are removed.
        source_tokens: S tokens; a string is split into its characters.
        target_tokens: T tokens; a string is split into its characters.
        title: Title of the figure.
        ax: matplotlib Axes to draw into, for one alignment only; the size of the labels then
            depends on the size of the axes. By default a new figure is made.
        panel_titles: One title for each of several alignments. By default "1 of N", "2 of N", ...
        columns: Panels in a row, at least 1. By default as many as fit in about 16 inches.
        source_label: Name of the horizontal axis.
        target_label: Name of the vertical axis.
        cmap: Name of a matplotlib colour map.
        vmax: Weight of the last colour, above 0. By default the largest weight drawn.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `alignments` have a wrong rank, have fewer rows or columns than tokens, or
            are negative or not finite; if there are no tokens; or if `panel_titles`, `columns`,
            `ax` or `vmax` are invalid.

    Example:
        >>> figure = attnzoo.plotting.plot_alignments(np.eye(3), "cat", ["K", "AE", "T"])
        >>> figure.savefig("cat.png")
    """
    require_matplotlib("plot_alignments")
    arrays = _split(alignments)
    several = len(arrays) > 1
    if panel_titles is not None and len(panel_titles) != len(arrays):
        raise ValueError(
            "`panel_titles` must hold one title for each alignment. "
            f"Received: {len(panel_titles)} titles for {len(arrays)} alignments"
        )
    titles: Sequence[str | None]
    if panel_titles is not None:
        titles, heading = panel_titles, title
    elif several:
        titles, heading = [f"{n} of {len(arrays)}" for n in range(1, len(arrays) + 1)], title
    else:
        titles, heading = [title], None
    panels = [
        make_panel(array, source_tokens, target_tokens, panel_title, name="`alignments`")
        for array, panel_title in zip(arrays, titles, strict=True)
    ]
    style = make_style(panels, source_label, target_label, cmap, vmax)
    if ax is not None:
        if several:
            raise ValueError(
                "`ax` takes one alignment [T, S]; leave it out to draw several. "
                f"Received: {len(panels)} alignments"
            )
        return _draw_into(ax, panels[0], style)
    if columns is None:
        widest = max(box.left + box.width + box.right for box in map(measure, panels))
        columns = max(1, min(len(panels), int(WIDEST_ROW / (widest + GAP))))
    return _draw_page(panels, style, columns=_checked_columns(columns), heading=heading)


def plot_alignment_page(
    items: Iterable[tuple],
    *,
    columns: int = 3,
    title: str | None = None,
    source_label: str = "source",
    target_label: str = "output",
    cmap: str = "Blues",
    vmax: float | None = None,
):
    """Draw the alignments of many pairs on one page, row by row, with one colour scale.

    Args:
        items: A tuple `(alignments, source_tokens, target_tokens)` or `(alignments, source_tokens,
            target_tokens, title)` for each pair, each part as in `plot_alignments`; `alignments`
            are float [T, S].
        columns: Pairs in a row. At least 1.
        title: Title of the page.
        source_label: Name of the horizontal axes.
        target_label: Name of the vertical axes.
        cmap: Name of a matplotlib colour map.
        vmax: Weight of the last colour, above 0. By default the largest weight on the page.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If there are no items, an item does not have 3 or 4 parts, or `plot_alignments`
            would refuse a part.

    Example:
        >>> items = [(np.eye(3), "cat", ["K", "AE", "T"], "cat"), (np.eye(2), "go", ["G", "OW"])]
        >>> attnzoo.plotting.plot_alignment_page(items, columns=2).savefig("page.png")
    """
    require_matplotlib("plot_alignment_page")
    items = list(items)
    if not items:
        raise ValueError(f"`items` must hold at least 1 pair. Received: items={items}")
    panels = []
    for number, item in enumerate(items):
        if len(item) not in (3, 4):
            raise ValueError(
                f"`items[{number}]` must be (alignments, source_tokens, target_tokens) or "
                "(alignments, source_tokens, target_tokens, title). "
                f"Received: {len(item)} parts"
            )
        name = f"`alignments` of `items[{number}]`"
        array = np.asarray(item[0])
        if array.ndim != 2:
            raise ValueError(f"{name} must be of rank 2, [T, S]. Received: shape={array.shape}")
        panels.append(make_panel(array, item[1], item[2], (*item, None)[3], name=name))
    style = make_style(panels, source_label, target_label, cmap, vmax)
    return _draw_page(panels, style, columns=_checked_columns(columns), heading=title)


def _split(alignments):
    """Return an array [N, T, S] or a list of arrays as a list of [T, S]."""
    if isinstance(alignments, (list, tuple)) and alignments and np.ndim(alignments[0]) == 2:
        arrays = [np.asarray(array) for array in alignments]
    else:
        array = np.asarray(alignments)
        if array.ndim not in (2, 3):
            raise ValueError(
                "`alignments` must be of rank 2, [T, S], or several of them, [N, T, S]. "
                f"Received: shape={array.shape}"
            )
        arrays = list(array) if array.ndim == 3 else [array]
    if not arrays:
        raise ValueError(f"`alignments` must not be empty. Received: shape={array.shape}")
    for array in arrays:
        if array.ndim != 2:
            raise ValueError(
                f"`alignments` in a list must be of rank 2, [T, S]. Received: shape={array.shape}"
            )
    return arrays


def _checked_columns(columns):
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns}")
    return columns


def _draw_page(panels, style, *, columns, heading):
    """Return a new figure, its panels row by row, with one colour bar beside the first row."""
    boxes = [measure(panel) for panel in panels]
    columns = min(columns, len(panels))
    lefts = [max(box.left for box in boxes[n::columns]) for n in range(columns)]
    rights = [max(box.width + box.right for box in boxes[n::columns]) for n in range(columns)]
    starts = [EDGE + sum(lefts[: n + 1]) + sum(rights[:n]) + n * GAP for n in range(columns)]
    rows = [boxes[n : n + columns] for n in range(0, len(boxes), columns)]
    tops = [max(box.top for box in row) for row in rows]
    heights = [max(box.height for box in row) for row in rows]

    last = rows[0][-1]
    bar_left = starts[-1] + last.width + 0.15
    width = max(starts[-1] + rights[-1] + EDGE, bar_left + 0.85)
    heading_lines = wrap(heading, HEADING_TEXT, width - 2 * EDGE) if heading else []
    first = EDGE + len(heading_lines) * LINE * HEADING_TEXT / 72 + (0.1 if heading else 0.0)
    height = first + sum(tops) + sum(heights) + (len(rows) - 1) * GAP + EDGE

    figure = new_figure(width, height)
    write(figure, heading_lines, EDGE, EDGE, HEADING_TEXT, weight="bold")
    for number, (panel, box) in enumerate(zip(panels, boxes, strict=True)):
        row, column = divmod(number, columns)
        top = first + sum(tops[:row]) + sum(heights[:row]) + row * GAP
        write(figure, box.title_lines, starts[column], top, TITLE_TEXT)
        ax = add_axes(figure, starts[column], top + tops[row], box.width, box.height)
        image = draw_weights(ax, panel, style)
        set_labels(ax, panel, box.width, box.height)
    bar_axes = add_axes(figure, bar_left, first + tops[0], 0.14, min(3.0, last.height))
    style_bar(figure.colorbar(image, cax=bar_axes))
    return figure


def _draw_into(ax, panel, style):
    """Draw one panel and its colour bar into the caller's axes."""
    figure = ax.get_figure(root=True)
    image = draw_weights(ax, panel, style)
    if panel.title:
        ax.set_title(panel.title, loc="left", size=TITLE_TEXT, parse_math=False)
    style_bar(ax.figure.colorbar(image, ax=ax))
    for _ in range(2):  # the bar, and in some layouts the labels, make the axes smaller
        place = ax.get_window_extent()
        set_labels(ax, panel, place.width / figure.dpi, place.height / figure.dpi)
        figure.draw_without_rendering()
    return figure

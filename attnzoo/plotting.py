"""Pictures of alignments: NumPy arrays in, a matplotlib figure out.

The source runs along the top edge, the output down the left one, so a monotonic alignment is a line
from the upper left to the lower right. Figures are laid out in inches from the number of tokens and
the printed width of their labels. They are made without pyplot: nothing stays open behind them.
"""

import functools
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LONGEST_LABEL = 24  # characters; a longer token ends in an ellipsis
SMALLEST_TEXT = 6.5  # points; where it would have to be smaller, labels are thinned instead
LARGEST_TEXT = 10.5  # points
SMALL_TEXT = 9.0  # points; axis names, colour bar
TITLE_TEXT = 11.0  # points
HEADING_TEXT = 12.0  # points
LINE = 1.15  # height of a line of text, in font sizes
SMALLEST_SIDE = 0.9  # inches; of a heat map, however few its tokens
WIDEST_ROW = 16.0  # inches; panels of one pair start a new row after it
GAP = 0.3  # inches between panels
EDGE = 0.12  # inches of blank around the figure
DPI = 150
VISIBLE = str.maketrans({" ": "␣", "\t": "⇥", "\n": "↵", "\r": "↵"})


class _Panel(NamedTuple):
    """One heat map: weights [T, S], a label for each row and column, and a title or None."""

    alignments: np.ndarray
    source_labels: list
    target_labels: list
    title: str | None


class _Style(NamedTuple):
    """What all panels of one figure share."""

    source_label: str
    target_label: str
    cmap: str
    vmax: float


class _Labels(NamedTuple):
    """How labels are set: `size` in points, `rotation` in degrees, every `..._step`-th is shown."""

    size: float
    rotation: int
    source_step: int
    target_step: int


class _Box(NamedTuple):
    """Room that one panel takes, in inches: the heat map and what stands around it."""

    width: float
    height: float
    left: float
    top: float
    right: float
    title_lines: list


def plot_alignments(
    alignments,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    title: str | None = None,
    ax=None,
    panel_titles: Sequence[str] | None = None,
    columns: int | None = None,
    source_label: str = "source",
    target_label: str = "output",
    cmap: str = "Blues",
    vmax: float | None = None,
):
    """Draw the alignments of one pair as a heat map, source tokens against output tokens.

    The figure grows with the number of tokens. Labels turn, shrink and are at last thinned (every
    second, third, ... is shown) so that they do not run into each other. A space is shown as ␣.

    Args:
        alignments: float [T, S], or several for the same pair, drawn side by side: float [N, T, S]
            or a list of [T, S]. Weights, at least 0. Rows and columns past the tokens are padding
            and are cut off.
        source_tokens: S tokens; a string stands for its characters.
        target_tokens: T tokens; a string stands for its characters.
        title: Title of the figure.
        ax: matplotlib Axes to draw into; its size then sets the size of the labels. Takes one
            alignment only. By default a figure of its own is made.
        panel_titles: One title for each of several alignments. By default "1 of N", "2 of N", ...
        columns: Panels in a row, at least 1. By default as many as fit into about 16 inches.
        source_label: Name of the horizontal axis.
        target_label: Name of the vertical axis.
        cmap: Name of a matplotlib colour map.
        vmax: Weight that gets the last colour, above 0. By default the largest weight drawn.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `alignments` are of a wrong rank, smaller than the tokens, negative or not
            finite, if there are no tokens, or if `panel_titles`, `columns`, `ax` or `vmax` do not
            fit.

    Example:
        >>> figure = attnzoo.plotting.plot_alignments(np.eye(3), "cat", ["K", "AE", "T"])
        >>> figure.savefig("cat.png")
    """
    _require_matplotlib("plot_alignments")
    arrays = _split(alignments)
    several = len(arrays) > 1
    if panel_titles is not None and len(panel_titles) != len(arrays):
        raise ValueError(
            "`panel_titles` must hold one title for each alignment. "
            f"Received: {len(panel_titles)} titles for {len(arrays)} alignments"
        )
    if panel_titles is None:
        count = len(arrays)
        panel_titles = [f"{n} of {count}" for n in range(1, count + 1)] if several else [title]
        heading = title if several else None
    else:
        heading = title
    panels = [
        _panel(array, source_tokens, target_tokens, panel_title, name="`alignments`")
        for array, panel_title in zip(arrays, panel_titles, strict=True)
    ]
    style = _style(panels, source_label, target_label, cmap, vmax)
    if ax is not None:
        if several:
            raise ValueError(
                "`ax` takes one alignment [T, S]; leave it out to draw several. "
                f"Received: {len(panels)} alignments"
            )
        return _draw_into(ax, panels[0], style)
    if columns is None:
        widest = max(box.left + box.width + box.right for box in map(_measure, panels))
        columns = max(1, min(len(panels), int(WIDEST_ROW / (widest + GAP))))
    return _draw_grid(panels, style, columns=_checked_columns(columns), heading=heading)


def plot_alignment_page(
    items,
    *,
    columns: int = 3,
    title: str | None = None,
    source_label: str = "source",
    target_label: str = "output",
    cmap: str = "Blues",
    vmax: float | None = None,
):
    """Draw the alignments of many pairs on one page, row by row, with one scale of colours.

    Args:
        items: A tuple `(alignments, source_tokens, target_tokens)` or `(alignments, source_tokens,
            target_tokens, title)` for each pair, each part as in `plot_alignments`; `alignments`
            are float [T, S].
        columns: Pairs in a row. At least 1.
        title: Title of the page.
        source_label: Name of the horizontal axes.
        target_label: Name of the vertical axes.
        cmap: Name of a matplotlib colour map.
        vmax: Weight that gets the last colour, above 0. By default the largest weight on the page.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If there are no items, an item has not 3 or 4 parts, or a part is not as
            `plot_alignments` asks.

    Example:
        >>> items = [(np.eye(3), "cat", ["K", "AE", "T"], "cat"), (np.eye(2), "go", ["G", "OW"])]
        >>> attnzoo.plotting.plot_alignment_page(items, columns=2).savefig("page.png")
    """
    _require_matplotlib("plot_alignment_page")
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
        panels.append(_panel(array, item[1], item[2], (*item, None)[3], name=name))
    style = _style(panels, source_label, target_label, cmap, vmax)
    return _draw_grid(panels, style, columns=_checked_columns(columns), heading=title)


# What is drawn: checked weights and printable labels.


def _require_matplotlib(function):
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"`{function}` needs matplotlib. Install it with: pip install 'attnzoo[plot]'"
        ) from error


def _split(alignments):
    """One array, [N, T, S] or a list of arrays, as a list of [T, S]."""
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


def _panel(array, source_tokens, target_tokens, title, *, name):
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
    if not np.isfinite(array).all():
        wrong = array[~np.isfinite(array)][0]
        raise ValueError(f"{name} must be finite. Received: a weight of {wrong}")
    if array.min() < 0:
        raise ValueError(f"{name} must be at least 0. Received: a weight of {array.min()}")
    return _Panel(array, source_labels, target_labels, title)


def _label(token):
    text = str(token).translate(VISIBLE)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _style(panels, source_label, target_label, cmap, vmax):
    if vmax is None:
        vmax = max(float(panel.alignments.max()) for panel in panels) or 1.0
    elif not vmax > 0:
        raise ValueError(f"`vmax` must be above 0. Received: vmax={vmax}")
    return _Style(source_label, target_label, cmap, vmax)


def _checked_columns(columns):
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns}")
    return columns


# Where it goes: sizes in inches, text in points (72 to an inch).


def _text_width(text, size):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    properties = FontProperties(size=size)
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0]


def _sides(panel):
    """Width and height of the heat map; cells shrink slowly as tokens become more."""
    target_length, source_length = panel.alignments.shape
    cell = 0.32 * min(1.0, math.sqrt(12 / max(target_length, source_length)))
    return max(cell * source_length, SMALLEST_SIDE), max(cell * target_length, SMALLEST_SIDE)


def _plan_labels(panel, width, height):
    """Set labels flat if the widest fits into its column, else aslant, else upright."""
    target_length, source_length = panel.alignments.shape
    column, row = 72 * width / source_length, 72 * height / target_length
    size = min(max(0.72 * min(column, row), SMALLEST_TEXT), LARGEST_TEXT)
    source_step = math.ceil(LINE * size / column)
    target_step = math.ceil(LINE * size / row)
    widest = max(_text_width(label, size) for label in panel.source_labels)
    if widest <= 0.92 * column * source_step:
        return _Labels(size, 0, source_step, target_step)
    slanted = min(size, math.sqrt(0.5) * column / LINE)  # lines at 45 degrees are closer together
    if slanted >= SMALLEST_TEXT:
        return _Labels(slanted, 45, 1, target_step)
    return _Labels(size, 90, source_step, target_step)


def _measure(panel):
    width, height = _sides(panel)
    labels = _plan_labels(panel, width, height)
    column = width / panel.alignments.shape[1]
    axis_name = (LINE * SMALL_TEXT + 5) / 72
    left = max(_text_width(label, labels.size) for label in panel.target_labels) / 72
    longest = [_text_width(label, labels.size) / 72 for label in panel.source_labels]
    line = LINE * labels.size / 72
    top, right = line, 0.0
    if labels.rotation == 90:
        top = max(longest)
    elif labels.rotation == 45:
        top = math.sqrt(0.5) * (max(longest) + line)
        ends = [(n + 0.5) * column + math.sqrt(0.5) * w for n, w in enumerate(longest)]
        right = max(0.0, max(ends) - width)
    title_lines = []
    if panel.title:
        title_lines = _wrap(panel.title, TITLE_TEXT, max(width + right, 2.0))
        longest_line = max(_text_width(line, TITLE_TEXT) for line in title_lines) / 72
        right = max(right, longest_line - width)
    left, top = left + axis_name + 0.08, top + axis_name + 0.04
    top += len(title_lines) * LINE * TITLE_TEXT / 72 + (0.05 if title_lines else 0.0)
    return _Box(width, height, left, top, right, title_lines)


def _wrap(text, size, width):
    """Break a title at its spaces into lines of at most `width` inches where words allow it."""
    lines = [""]
    for word in str(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _text_width(longer, size) > 72 * width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# Drawing.


def _draw_grid(panels, style, *, columns, heading):
    """A figure of its own, its panels row by row, and one colour bar beside the first row."""
    boxes = [_measure(panel) for panel in panels]
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
    heading_lines = _wrap(heading, HEADING_TEXT, width - 2 * EDGE) if heading else []
    first = EDGE + len(heading_lines) * LINE * HEADING_TEXT / 72 + (0.1 if heading else 0.0)
    height = first + sum(tops) + sum(heights) + (len(rows) - 1) * GAP + EDGE

    figure = _new_figure(width, height)
    _write(figure, heading_lines, EDGE, EDGE, HEADING_TEXT, "bold")
    for number, (panel, box) in enumerate(zip(panels, boxes, strict=True)):
        row, column = divmod(number, columns)
        top = first + sum(tops[:row]) + sum(heights[:row]) + row * GAP
        _write(figure, box.title_lines, starts[column], top, TITLE_TEXT, "normal")
        ax = _add_axes(figure, starts[column], top + tops[row], box.width, box.height)
        image = _draw_weights(ax, panel, style)
        _set_labels(ax, panel, box.width, box.height)
    bar_axes = _add_axes(figure, bar_left, first + tops[0], 0.14, min(3.0, last.height))
    _style_bar(figure.colorbar(image, cax=bar_axes))
    return figure


def _draw_into(ax, panel, style):
    """One panel and its colour bar in axes that the caller has made."""
    figure = ax.get_figure(root=True)
    image = _draw_weights(ax, panel, style)
    if panel.title:
        ax.set_title(panel.title, loc="left", size=TITLE_TEXT, parse_math=False)
    _style_bar(ax.figure.colorbar(image, ax=ax))
    for _ in range(2):  # the bar, and under some layouts the labels, take room from the axes
        place = ax.get_window_extent()
        _set_labels(ax, panel, place.width / figure.dpi, place.height / figure.dpi)
        figure.draw_without_rendering()
    return figure


def _new_figure(width, height):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    figure._repr_png_ = functools.partial(_png, figure)  # notebooks show it without pyplot
    return figure


def _png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _add_axes(figure, left, top, width, height):
    """Axes at a place given in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    place = (left / across, 1 - (top + height) / down, width / across, height / down)
    return figure.add_axes(place)


def _write(figure, lines, left, top, size, weight):
    across, down = figure.get_size_inches()
    place = {"x": left / across, "y": 1 - top / down, "va": "top"}
    figure.text(s="\n".join(lines), size=size, weight=weight, parse_math=False, **place)


def _draw_weights(ax, panel, style):
    image = ax.imshow(
        panel.alignments,
        cmap=style.cmap,
        vmin=0.0,
        vmax=style.vmax,
        aspect="auto",
        interpolation="nearest",
    )
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel(style.source_label, size=SMALL_TEXT, color="0.35", parse_math=False)
    ax.set_ylabel(style.target_label, size=SMALL_TEXT, color="0.35", parse_math=False)
    for spine in ax.spines.values():
        spine.set(color="0.6", linewidth=0.5)
    return image


def _set_labels(ax, panel, width, height):
    """Token labels, and lines between the cells where these are not too small."""
    target_length, source_length = panel.alignments.shape
    labels = _plan_labels(panel, width, height)
    turned = {0: {}, 45: {"ha": "left", "va": "baseline"}, 90: {"ha": "left", "va": "center"}}
    ax.set_xticks(
        range(0, source_length, labels.source_step),
        panel.source_labels[:: labels.source_step],
        parse_math=False,
        rotation=labels.rotation,
        rotation_mode="anchor" if labels.rotation else "default",
        **turned[labels.rotation],
    )
    ax.set_yticks(
        range(0, target_length, labels.target_step),
        panel.target_labels[:: labels.target_step],
        parse_math=False,
    )
    ax.tick_params(labelsize=labels.size, length=2, width=0.5, pad=2, color="0.6")
    if min(width / source_length, height / target_length) > 0.1:
        ax.set_xticks(np.arange(0.5, source_length - 1), minor=True)
        ax.set_yticks(np.arange(0.5, target_length - 1), minor=True)
        ax.grid(which="minor", color="0.88", linewidth=0.5)
        ax.tick_params(which="minor", length=0)


def _style_bar(bar):
    bar.set_label("alignment", size=SMALL_TEXT, color="0.35")
    bar.ax.tick_params(labelsize=SMALL_TEXT - 1, length=2, width=0.5, color="0.6")
    bar.outline.set(edgecolor="0.6", linewidth=0.5)

"""Elements of a figure: axes placed in inches, heat maps, labels, text and a colour bar."""

import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from attnzoo.plotting.layout import SMALL_TEXT, plan_labels
from attnzoo.plotting.panels import Panel, Style

DPI = 150


def new_figure(width: float, height: float):
    """Return an empty figure, sized in inches, that a notebook shows and pyplot does not keep."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    figure._repr_png_ = functools.partial(_png, figure)
    return figure


def _png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def add_axes(figure: Any, left: float, top: float, width: float, height: float):
    """Return axes at a place given in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    place = (left / across, 1 - (top + height) / down, width / across, height / down)
    return figure.add_axes(place)


def write(figure: Any, lines: Sequence[str], left: float, top: float, size: float, **properties):
    """Draw lines of text at a place given in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    place = {"x": left / across, "y": 1 - top / down, "va": "top"}
    figure.text(s="\n".join(lines), size=size, parse_math=False, **place, **properties)


def draw_weights(ax: Any, panel: Panel, style: Style):
    """Draw the heat map with the names of its axes, and no labels yet."""
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


def set_labels(
    ax: Any, panel: Panel, width: float, height: float, *, above: bool = True, beside: bool = True
):
    """Set token labels, and lines between cells that are not too small.

    Args:
        ax: Axes of `width` and `height` inches.
        panel: The panel drawn in the axes.
        above: Whether to show source tokens above.
        beside: Whether to show target tokens beside.
    """
    target_length, source_length = panel.alignments.shape
    labels = plan_labels(panel, width, height)
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
    ax.tick_params(top=above, labeltop=above, left=beside, labelleft=beside)
    if min(width / source_length, height / target_length) > 0.1:
        ax.set_xticks(np.arange(0.5, source_length - 1), minor=True)
        ax.set_yticks(np.arange(0.5, target_length - 1), minor=True)
        ax.grid(which="minor", color="0.88", linewidth=0.5)
        ax.tick_params(which="minor", length=0)


def style_bar(bar: Any):
    """Label a colour bar, and draw its frame and ticks as thin lines."""
    bar.set_label("alignment", size=SMALL_TEXT, color="0.35")
    bar.ax.tick_params(labelsize=SMALL_TEXT - 1, length=2, width=0.5, color="0.6")
    bar.outline.set(edgecolor="0.6", linewidth=0.5)

"""Layout of figures: sizes in inches, text in points (72 to an inch)."""

import functools
import math
from typing import NamedTuple

from attnzoo.plotting.panels import Panel

SMALLEST_TEXT = 6.5  # points; labels that need smaller text are thinned
LARGEST_TEXT = 10.5  # points
SMALL_TEXT = 9.0  # points; axis names, colour bar
TITLE_TEXT = 11.0  # points
HEADING_TEXT = 12.0  # points
LINE = 1.15  # height of a line of text, in font sizes
SMALLEST_SIDE = 0.9  # inches; of a heat map, however few its tokens
WIDEST_ROW = 16.0  # inches; panels of one pair start a new row after it
GAP = 0.3  # inches between panels
EDGE = 0.12  # inches of blank around the figure


class Labels(NamedTuple):
    """Style of labels: `size` in points, `rotation` in degrees, every `..._step`-th is shown."""

    size: float
    rotation: int
    source_step: int
    target_step: int


class Box(NamedTuple):
    """Size of one panel, in inches: the heat map with its labels and title."""

    width: float
    height: float
    left: float
    top: float
    right: float
    title_lines: list


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Return the printed width of a text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    properties = FontProperties(size=size)
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0]


def sides(panel: Panel):
    """Return width and height of a heat map; cells are smaller if there are many."""
    target_length, source_length = panel.alignments.shape
    cell = 0.32 * min(1.0, math.sqrt(12 / max(target_length, source_length)))
    return max(cell * source_length, SMALLEST_SIDE), max(cell * target_length, SMALLEST_SIDE)


def plan_labels(panel: Panel, width: float, height: float):
    """Return horizontal labels if the widest fits its column, else slanted or vertical ones."""
    target_length, source_length = panel.alignments.shape
    column, row = 72 * width / source_length, 72 * height / target_length
    size = min(max(0.72 * min(column, row), SMALLEST_TEXT), LARGEST_TEXT)
    source_step = math.ceil(LINE * size / column)
    target_step = math.ceil(LINE * size / row)
    widest = max(text_width(label, size) for label in panel.source_labels)
    if widest <= 0.92 * column * source_step:
        return Labels(size, 0, source_step, target_step)
    slanted = min(size, math.sqrt(0.5) * column / LINE)  # lines at 45 degrees are closer together
    if slanted >= SMALLEST_TEXT:
        return Labels(slanted, 45, 1, target_step)
    return Labels(size, 90, source_step, target_step)


def measure(panel: Panel, size: tuple[float, float] | None = None) -> Box:
    """Return the box of a panel whose heat map has this size, or that of `sides`."""
    width, height = sides(panel) if size is None else size
    labels = plan_labels(panel, width, height)
    column = width / panel.alignments.shape[1]
    axis_name = (LINE * SMALL_TEXT + 5) / 72
    left = max(text_width(label, labels.size) for label in panel.target_labels) / 72
    longest = [text_width(label, labels.size) / 72 for label in panel.source_labels]
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
        title_lines = wrap(panel.title, TITLE_TEXT, max(width + right, 2.0))
        longest_line = max(text_width(line, TITLE_TEXT) for line in title_lines) / 72
        right = max(right, longest_line - width)
    left, top = left + axis_name + 0.08, top + axis_name + 0.04
    top += len(title_lines) * LINE * TITLE_TEXT / 72 + (0.05 if title_lines else 0.0)
    return Box(width, height, left, top, right, title_lines)


def wrap(text: str, size: float, width: float):
    """Return the lines of a title, broken at spaces to at most `width` inches if words allow it."""
    lines = [""]
    for word in str(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > 72 * width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines

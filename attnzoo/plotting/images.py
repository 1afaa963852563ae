"""Images side by side, such as before and after, with one part of each enlarged below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attnzoo.plotting.drawing import add_axes, new_figure, write
from attnzoo.plotting.inputs import require_matplotlib
from attnzoo.plotting.layout import EDGE, GAP, HEADING_TEXT, LINE, TITLE_TEXT, wrap

SIDE = 3.0  # inches; width of each image
MARK = "#d62728"  # colour of the frame around the part


def plot_images(
    images: Sequence[ArrayLike],
    titles: Sequence[str],
    *,
    part: tuple[float, float, float, float] | None = None,
    title: str | None = None,
):
    """Draw images of one scene side by side, whatever their sizes in pixels.

    Args:
        images: Arrays [H, W] or [H, W, 1 or 3], uint8, or float in 0..1.
        titles: A title for each image.
        part: Top, left, bottom and right of a part that is drawn enlarged below each image, as
            shares of height and width, in 0..1; or None.
        title: Title of the figure.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If there are no images, there is not one title for each, an image has another
            shape, or the part is empty or reaches beyond the image.

    Example:
        >>> small = attnzoo.data.shrink_image(photo, 2)
        >>> figure = attnzoo.plotting.plot_images(
        ...     [small, task.predict(small), photo], ["small", "enlarged", "photo"],
        ...     part=(0.2, 0.4, 0.4, 0.6))
        >>> figure.savefig("before_and_after.png")
    """
    require_matplotlib("plot_images")
    arrays = [_checked(image) for image in images]
    if not arrays or len(arrays) != len(titles):
        raise ValueError(
            "There must be one image or more, and a title for each. "
            f"Received: {len(arrays)} images, {len(titles)} titles"
        )
    if part is not None and not (0 <= part[0] < part[2] <= 1 and 0 <= part[1] < part[3] <= 1):
        raise ValueError(
            "`part` must be top, left, bottom and right in 0..1, top before bottom and left before "
            f"right. Received: part={part}"
        )
    rows = [[(array, part) for array in arrays]]
    if part is not None:
        rows.append([(_cut(array, part), None) for array in arrays])
    return _draw(rows, titles, title)


def _draw(rows, titles, heading):
    """Return a new figure of rows of images and of the part to frame in each."""
    heights = [max(SIDE * one.shape[0] / one.shape[1] for one, _ in row) for row in rows]
    width = 2 * EDGE + len(titles) * (SIDE + GAP) - GAP
    headings = wrap(heading, HEADING_TEXT, width - 2 * EDGE) if heading else []
    wrapped = [wrap(title, TITLE_TEXT, SIDE) for title in titles]
    top = EDGE + len(headings) * LINE * HEADING_TEXT / 72
    first = top + max(map(len, wrapped)) * LINE * TITLE_TEXT / 72 + 0.05
    figure = new_figure(width, first + sum(heights) + (len(rows) - 1) * GAP + EDGE)
    write(figure, headings, EDGE, EDGE, HEADING_TEXT, weight="bold")
    for column, lines in enumerate(wrapped):
        write(figure, lines, EDGE + column * (SIDE + GAP), top, TITLE_TEXT)
    for row, height in zip(rows, heights, strict=True):
        for column, (array, part) in enumerate(row):
            ax = add_axes(figure, EDGE + column * (SIDE + GAP), first, SIDE, height)
            _draw_image(ax, array, part)
        first += height + GAP
    return figure


def _draw_image(ax: Any, array, part):
    """Draw an image without interpolation, so that its pixels show, and frame a part of it."""
    top = 255 if array.dtype == np.uint8 else 1.0
    ax.imshow(array, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    ax.set_axis_off()
    if part is None:
        return
    from matplotlib.patches import Rectangle

    rows, columns = _places(array, part)
    corner = columns.start - 0.5, rows.start - 0.5
    width, height = columns.stop - columns.start, rows.stop - rows.start
    ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=MARK, linewidth=1.2))


def _cut(array, part):
    return array[_places(array, part)]


def _places(array, part) -> tuple[slice, slice]:
    """Return the rows and columns of a part of an image, one or more of each."""
    top, left, bottom, right = part
    height, width = array.shape[:2]
    first_row, first_column = int(top * height), int(left * width)
    last_row, last_column = round(bottom * height), round(right * width)
    return (
        slice(first_row, max(last_row, first_row + 1)),
        slice(first_column, max(last_column, first_column + 1)),
    )


def _checked(image) -> np.ndarray:
    """Return an image as an array [H, W] or [H, W, 3]."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)):
        raise ValueError(
            f"An image must be an array [H, W] or [H, W, 1 or 3]. Received: shape={np.shape(image)}"
        )
    return array if array.dtype == np.uint8 else np.clip(array, 0.0, 1.0)

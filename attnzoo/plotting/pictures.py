"""Alignments drawn over the picture that they look at."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attnzoo.plotting.drawing import add_axes, new_figure, style_bar, write
from attnzoo.plotting.inputs import check_finite, largest, printable, require_matplotlib
from attnzoo.plotting.layout import EDGE, HEADING_TEXT, LINE, TITLE_TEXT, text_width, wrap

SIDE = 1.6  # inches; the longer side of a picture
GAP = 0.15  # inches between pictures
_DIMMED = 0.4  # share of the picture's colours under the weights


def plot_picture_alignments(
    image: ArrayLike,
    alignments: ArrayLike,
    tokens: Sequence[str],
    *,
    columns: int = 6,
    title: str | None = None,
    cmap: str = "inferno",
    vmax: float | None = None,
):
    """Draw where in a picture each token of its caption looks.

    The first panel is the picture; then comes one for each token, the picture in grey under the
    weights of its places.

    Args:
        image: uint8 [H, W, C] in [0, 255], or float in [0, 1]; C is 1 or 3, or [H, W].
        alignments: float [T, H', W']. Weights of the places of the grid, at least 0. Rows past the
            tokens are padding and are removed.
        tokens: T tokens.
        columns: Panels in a row. At least 1.
        title: Title of the figure.
        cmap: Name of a matplotlib colour map.
        vmax: Weight of the last colour, above 0. By default the largest weight drawn.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If `image` is no picture, there are no tokens, `alignments` have a wrong rank or
            fewer rows than tokens, or are negative or not finite, or a number is invalid.

    Example:
        >>> found = task.generate([image], return_alignments=True)
        >>> tokens = task.preprocessor.tokens(found["outputs"][0])
        >>> figure = attnzoo.plotting.plot_picture_alignments(image, found["alignments"][0], tokens)
        >>> figure.savefig("flag.png")

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), figure 2.
    """
    require_matplotlib("plot_picture_alignments")
    picture = _as_picture(image)
    weights = _check_alignments(alignments, tokens)
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns}")
    vmax = largest(list(weights), vmax)
    grey = _DIMMED * picture.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    names = ["", *(printable(token) for token in tokens)]

    height, width = (SIDE * side / max(picture.shape[:2]) for side in picture.shape[:2])
    columns = min(columns, len(names))
    widest = max(text_width(name, TITLE_TEXT) for name in names) / 72
    step = max(width, widest) + GAP
    label = LINE * TITLE_TEXT / 72 + 0.05
    across = 2 * EDGE + columns * step + 0.85
    lines = wrap(title, HEADING_TEXT, across - 2 * EDGE) if title else []
    first = EDGE + len(lines) * LINE * HEADING_TEXT / 72 + (0.1 if title else 0.0)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(across, first + rows * (height + label + GAP) + EDGE - GAP)
    write(figure, lines, EDGE, EDGE, HEADING_TEXT, weight="bold")

    style = {"vmin": 0.0, "vmax": vmax, "cmap": cmap, "alpha": 0.7, "interpolation": "bilinear"}
    extent = (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
    drawn: Any = None
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        left, top = EDGE + column * step, first + row * (height + label + GAP)
        write(figure, [name], left, top, TITLE_TEXT)
        axes = add_axes(figure, left, top + label, width, height)
        axes.set_axis_off()
        axes.imshow(grey if place else picture, interpolation="nearest", vmin=0.0, vmax=1.0)
        if place:
            drawn = axes.imshow(weights[place - 1], extent=extent, **style)
            axes.set_xlim(extent[0], extent[1])
            axes.set_ylim(extent[2], extent[3])
    bar = add_axes(figure, EDGE + columns * step, first + label, 0.12, height)
    style_bar(figure.colorbar(drawn, cax=bar))
    return figure


def _as_picture(image):
    """Return a picture as float [H, W, 3] in [0, 1]."""
    array = np.asarray(image)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            "`image` must be [height, width] or [height, width, 1 or 3 channels]. "
            f"Received: shape={np.shape(image)}"
        )
    array = array / 255.0 if array.dtype == np.uint8 else array.astype("float64")
    check_finite("`image`", array)
    if array.min() < 0.0 or array.max() > 1.0:
        raise ValueError(
            "`image` must be in [0, 1], or uint8 in [0, 255]. "
            f"Received: values in [{array.min():g}, {array.max():g}]"
        )
    return np.broadcast_to(array, (*array.shape[:2], 3))


def _check_alignments(alignments, tokens):
    """Return alignments float64 [T, H', W'] of T tokens."""
    weights = np.asarray(alignments)
    if weights.ndim != 3 or not len(tokens) or len(weights) < len(tokens):
        raise ValueError(
            "`alignments` must be of rank 3, [T, height, width], with a row for each token, one or "
            f"more. Received: shape={weights.shape}, {len(tokens)} tokens"
        )
    weights = weights[: len(tokens)].astype("float64")
    check_finite("`alignments`", weights)
    if weights.min() < 0:
        raise ValueError(f"`alignments` must be at least 0. Received: a weight of {weights.min()}")
    return weights

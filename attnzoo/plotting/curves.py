"""Learning curves: a quantity by epoch, with a line for each run."""

from collections.abc import Mapping, Sequence

import numpy as np

from attnzoo.plotting.drawing import new_figure
from attnzoo.plotting.inputs import check_finite, require_matplotlib

_LINE = 0.22  # Height of a line of the legend, in inches.
_STYLES = ("-", "--", ":", "-.")


def plot_curves(curves: Mapping[str, Sequence[float]], quantity: str = "val_loss"):
    """Draw a quantity by epoch, with a line for each run.

    Args:
        curves: The quantity after each epoch, by the run's name. At least one run, and one epoch
            each.
        quantity: Name of the quantity, for the axis.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no run, or a run has no epoch or a value that is not finite.
        ImportError: If matplotlib is not installed.

    Example:
        >>> history = task.fit(sources, targets, epochs=20).history
        >>> plot_curves({"bahdanau": history["loss"]}, "loss").savefig("curves.png")
    """
    require_matplotlib("plot_curves")
    lines = {name: np.asarray(values, dtype="float64") for name, values in curves.items()}
    if not lines or not all(values.ndim == 1 and values.size for values in lines.values()):
        shapes = {name: values.shape for name, values in lines.items()}
        raise ValueError(
            "There must be a run at least, and a row of values for each, one an epoch. "
            f"Received: curves of shapes {shapes}"
        )
    for name, values in lines.items():
        check_finite(f"The values of {name!r}", values)
    figure = new_figure(7.0, max(3.6, 0.5 + _LINE * len(lines)))
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot()
    drawn = []
    for number, values in enumerate(lines.values()):
        style = _STYLES[number // 10 % len(_STYLES)]  # There are ten colours.
        epochs = np.arange(1, len(values) + 1)
        drawn += ax.plot(epochs, values, style, color=f"C{number % 10}", marker=".", linewidth=1.2)
    ax.set_xlabel("epoch")
    ax.set_ylabel(quantity, parse_math=False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(drawn, list(lines), loc="outside right upper", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure

"""A line for each run, a point for each epoch."""

import sys

import numpy as np
import pytest

from attnzoo.plotting import plot_curves

pytestmark = pytest.mark.backend_free


def test_each_run_is_a_line_by_epoch():
    figure = plot_curves({"soft $a": [2.0, 1.5, 1.25], "hard": [3.0]}, "val_loss")
    (ax,) = figure.axes
    soft, hard = ax.get_lines()
    np.testing.assert_array_equal(soft.get_xydata(), [[1, 2.0], [2, 1.5], [3, 1.25]])
    np.testing.assert_array_equal(hard.get_xydata(), [[1, 3.0]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["soft $a", "hard"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "val_loss")
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_many_runs_can_be_told_apart():
    figure = plot_curves({f"_{number}": [1.0, 0.5] for number in range(26)})
    figure.canvas.draw()
    lines = figure.axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 26
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 26
    picture, drawn = figure.bbox, legend.get_window_extent()
    assert drawn.y0 >= picture.y0 and drawn.x1 <= picture.x1
    assert figure.axes[0].get_window_extent().x1 < drawn.x0  # The legend hides no line.


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "There must be a run at least.* Received: curves of shapes {}"),
        ({"soft": []}, r"a row of values for each.* Received: curves of shapes .*'soft': \(0,\)"),
        ({"soft": [1.0, np.nan]}, "The values of 'soft' must be finite. Received: a value of nan"),
    ],
)
def test_what_cannot_be_drawn_is_refused(curves, message):
    with pytest.raises(ValueError, match=message):
        plot_curves(curves)


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"`plot_curves` needs matplotlib.*'attnzoo\[plot\]'"):
        plot_curves({"soft": [1.0]})

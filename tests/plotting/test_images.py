import numpy as np
import pytest

pytest.importorskip("matplotlib")

from attnzoo.plotting import plot_images

pytestmark = pytest.mark.backend_free

SMALL = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("uint8")
LARGE = np.random.default_rng(1).random((12, 16, 1))


def test_images_stand_side_by_side_under_their_titles():
    figure = plot_images([SMALL, LARGE], ["small", "large $x"], title="One scene")
    assert [text.get_text() for text in figure.texts] == ["One scene", "small", "large $x"]
    first, second = figure.axes
    assert np.array_equal(first.images[0].get_array(), SMALL)
    assert np.array_equal(second.images[0].get_array(), LARGE[..., 0])
    assert first.get_position().y0 == pytest.approx(second.get_position().y0)
    assert first.get_position().x1 < second.get_position().x0


def test_a_part_is_framed_and_drawn_again_below():
    figure = plot_images([SMALL, LARGE], ["a", "b"], part=(0.5, 0.25, 1.0, 0.75))
    whole, _, part, other = figure.axes
    assert np.array_equal(part.images[0].get_array(), SMALL[3:, 2:6])
    assert np.array_equal(other.images[0].get_array(), LARGE[6:, 4:12, 0])
    (frame,) = whole.patches
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (1.5, 2.5, 4, 3)
    assert part.get_position().y1 < whole.get_position().y0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="a title for each. Received: 1 images, 2 titles"):
        plot_images([SMALL], ["a", "b"])
    with pytest.raises(ValueError, match=r"Received: shape=\(6, 8, 4\)"):
        plot_images([np.zeros((6, 8, 4))], ["a"])
    with pytest.raises(ValueError, match=r"Received: part=\(0.5, 0, 0.5, 1\)"):
        plot_images([SMALL], ["a"], part=(0.5, 0, 0.5, 1))

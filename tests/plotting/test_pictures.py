"""Alignments over a picture: a panel a token, each with its weights in place."""

import numpy as np
import pytest

from attnzoo.plotting import plot_picture_alignments

pytestmark = pytest.mark.backend_free

IMAGE = np.random.default_rng(0).random((6, 9, 3))
WEIGHTS = np.random.default_rng(1).random((4, 2, 3))


def test_each_token_has_its_weights_over_all_of_the_picture():
    figure = plot_picture_alignments(IMAGE, WEIGHTS, ["a", "red", "flag"], title="a red flag")
    panels = [ax for ax in figure.axes if ax.images and ax.get_label() != "<colorbar>"]
    assert [len(panel.images) for panel in panels] == [1, 2, 2, 2]
    np.testing.assert_allclose(panels[0].images[0].get_array(), IMAGE)
    for panel, weights in zip(panels[1:], WEIGHTS, strict=False):
        grey, drawn = panel.images
        assert np.ptp(grey.get_array(), axis=-1).max() == 0.0
        np.testing.assert_allclose(drawn.get_array(), weights)
        assert drawn.get_extent() == list(grey.get_extent())
        assert drawn.norm.vmax == WEIGHTS[:3].max()
    assert [text.get_text() for text in figure.texts] == ["a red flag", "", "a", "red", "flag"]
    assert figure._repr_png_()


def test_bytes_and_brightness_are_pictures_too():
    pixels = np.round(IMAGE * 255).astype("uint8")[..., 0]
    figure = plot_picture_alignments(pixels, WEIGHTS, ["a"], columns=1)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array()[..., 2], pixels / 255)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"image": IMAGE[0, 0]}, r"`image` must be .* Received: shape=\(3,\)"),
        ({"image": IMAGE * 255}, r"`image` must be in \[0, 1\], or uint8"),
        ({"tokens": []}, r"a row for each token, one or more. Received: .* 0 tokens"),
        ({"tokens": list("abcde")}, r"Received: shape=\(4, 2, 3\), 5 tokens"),
        ({"alignments": WEIGHTS[0]}, r"must be of rank 3, .* Received: shape=\(2, 3\)"),
        ({"alignments": -WEIGHTS}, "`alignments` must be at least 0. Received: a weight of -"),
        ({"alignments": WEIGHTS / 0.0}, "`alignments` must be finite"),
        ({"columns": 0}, "`columns` must be at least 1. Received: columns=0"),
        ({"vmax": 0.0}, "`vmax` must be above 0. Received: vmax=0.0"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_cannot_be_drawn_is_refused(arguments, message):
    arguments = {"image": IMAGE, "alignments": WEIGHTS, "tokens": ["a"], **arguments}
    with pytest.raises(ValueError, match=message):
        plot_picture_alignments(**arguments)

"""A grid of heads: a row a layer, a column a head, labels at the edges only."""

import itertools
import sys

import numpy as np
import pytest

from attnzoo.plotting import layout, plot_heads
from attnzoo.plotting.heads import WIDEST_GRID

pytestmark = pytest.mark.backend_free

L, N, T, S = 2, 3, 5, 7
SENTENCE = "the film is neither as funny nor as touching as its makers seem to believe".split()


def weights(*shape):
    scores = np.random.default_rng(0).random(shape)
    return scores / scores.sum(axis=-1, keepdims=True)


def heat_maps(figure, layers=L):
    maps = [ax for ax in figure.axes if ax.images and ax.get_label() != "<colorbar>"]
    return np.array(maps, dtype=object).reshape(layers, -1)


def shown(labels):
    return [label.get_text() for label in labels if label.get_visible() and label.get_text()]


def test_layers_are_rows_and_heads_are_columns():
    alignments = weights(L, N, T + 2, S + 2)
    figure = plot_heads(alignments, "abcdefg", "vwxyz", title="all")
    maps = heat_maps(figure)
    assert maps.shape == (L, N)
    for layer, head in itertools.product(range(L), range(N)):
        ax = maps[layer, head]
        np.testing.assert_allclose(ax.images[0].get_array(), alignments[layer, head, :T, :S])
        assert ax.get_xlabel() == ("" if layer else f"head {head + 1}")
        assert ax.get_ylabel() == ("" if head else f"layer {layer + 1}")
        assert ax.images[0].get_clim() == (0.0, alignments[..., :T, :S].max())
        assert shown(ax.get_xticklabels()) == ([] if layer else list("abcdefg"))
        assert shown(ax.get_yticklabels()) == ([] if head else list("vwxyz"))
    assert [text.get_text() for text in figure.texts] == [
        "all",
        "rows: looking; columns: looked at",
    ]


def test_one_text_looks_at_itself():
    figure = plot_heads(weights(L, N, T, T), "vwxyz", vmax=1, source_label="in", target_label="out")
    first = heat_maps(figure)[0, 0]
    assert shown(first.get_xticklabels()) == shown(first.get_yticklabels()) == list("vwxyz")
    assert first.images[0].get_clim() == (0.0, 1)
    assert figure.texts[-1].get_text() == "rows: out; columns: in"


@pytest.mark.parametrize(("layers", "heads", "tokens"), [(1, 1, 1), (2, 8, 20), (1, 16, 60)])
def test_labels_never_overlap_and_stay_on_the_page(layers, heads, tokens):
    words = (SENTENCE * 5)[:tokens]
    figure = plot_heads(weights(layers, heads, tokens, tokens), words)
    figure.draw_without_rendering()
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    maps = heat_maps(figure, layers)
    above = [label for ax in maps[0] for label in ax.get_xticklabels()]
    beside = [label for label in maps[0, 0].get_yticklabels()][::-1]
    bar = figure.axes[-1]
    names = [*(ax.xaxis.label for ax in maps[0]), *(ax.yaxis.label for ax in maps[:, 0])]
    for label in (*above, *beside, *figure.texts, *names, *bar.get_yticklabels(), bar.yaxis.label):
        if label.get_text():
            box = label.get_window_extent(renderer)
            assert page.x0 <= box.x0 and box.x1 <= page.x1
            assert page.y0 <= box.y0 and box.y1 <= page.y1
    assert min(label.get_size() for label in above) >= layout.SMALLEST_TEXT
    upright = all(label.get_rotation() != 45 for label in above)
    for labels, low, high in ((above if upright else [], "x0", "x1"), (beside, "y0", "y1")):
        boxes = [label.get_window_extent(renderer) for label in labels]
        for before, after in itertools.pairwise(boxes):
            assert getattr(before, high) <= getattr(after, low)
    assert figure.get_size_inches()[0] < WIDEST_GRID + 16 * 0.15 + 3
    if tokens <= 20 and heads <= 8:
        assert len(above) == heads * tokens  # Each token has its label.


@pytest.mark.parametrize("shape", [(3, 5, 5), (0, 3, 5, 5), (2, 0, 5, 5)])
def test_a_wrong_rank_is_refused(shape):
    with pytest.raises(ValueError, match=rf"rank 4, \[L, N, T, S\].* Received: shape=\({shape[0]}"):
        plot_heads(np.ones(shape), "abcde")


def test_what_cannot_be_drawn_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"at least \(7, 7\). Received: shape=\(5, 7\)"):
        plot_heads(weights(L, N, T, S), "abcdefg")
    with pytest.raises(ValueError, match="at least 0. Received: a weight of -1"):
        plot_heads(-np.ones((L, N, T, S)), "abcdefg", "vwxyz")
    with pytest.raises(ValueError, match="`vmax` must be above 0. Received: vmax=-1"):
        plot_heads(weights(L, N, T, S), "abcdefg", "vwxyz", vmax=-1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"`plot_heads` needs matplotlib.*'attnzoo\[plot\]'"):
        plot_heads(weights(L, N, T, S), "abcdefg", "vwxyz")

import gc
import io
import itertools
import pathlib
import subprocess
import sys
import weakref

import numpy as np
import pytest

from attnzoo import plotting
from attnzoo.plotting import layout, plot_alignment_page, plot_alignments

pytestmark = pytest.mark.backend_free

T, S = 3, 11


def weights(target_length=T, source_length=S):
    scores = -((np.arange(target_length)[:, None] * 3 - np.arange(source_length)) ** 2.0)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def heat_maps(figure):
    return [ax for ax in figure.axes if ax.images and ax.get_label() != "<colorbar>"]


def bars(figure):
    return [ax for ax in figure.axes if ax.get_ylabel() == "alignment"]


def x_labels(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def y_labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def boxes(labels, renderer):
    """Corners of each turned label, on screen."""
    return [label.get_window_extent(renderer) for label in labels]


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


SENTENCE = "die Wärmerückgewinnungsanlagen übernahm gestern eine Gesellschaft in Köln".split()


def test_source_runs_along_x_and_output_along_y():
    figure = plot_alignments(weights(), "abcdefghijk", ["X", "YY", "ZZZ"], title="one")
    (ax,) = heat_maps(figure)
    assert x_labels(ax) == list("abcdefghijk")
    assert y_labels(ax) == ["X", "YY", "ZZZ"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("source", "output")
    np.testing.assert_allclose(ax.images[0].get_array(), weights())
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first output token is the upper row
    assert [text.get_text() for text in figure.texts if text.get_text()] == ["one"]


def test_a_colour_bar_names_the_alignment():
    figure = plot_alignments(weights(), "abcdefghijk", "XYZ")
    assert len(bars(figure)) == 1
    assert heat_maps(figure)[0].images[0].get_clim() == (0.0, weights().max())
    figure = plot_alignments(weights(), "abcdefghijk", "XYZ", vmax=1)
    assert heat_maps(figure)[0].images[0].get_clim() == (0.0, 1)


def test_padding_is_cut_to_the_tokens():
    figure = plot_alignments(weights(5, 13), "abcdefghijk", "XYZ")
    np.testing.assert_array_equal(
        heat_maps(figure)[0].images[0].get_array(), weights(5, 13)[:T, :S]
    )


def test_bad_values_in_padding_do_not_matter():
    padded = np.full((5, 13), np.nan)
    padded[:T, :S] = weights()
    plot_alignments(padded, "abcdefghijk", "XYZ")


def test_blanks_are_made_visible_and_unicode_is_kept():
    figure = plot_alignments(weights(3, 7), ["ß", " ", "İş", "a b", "\n", "\x07", "$x$"], "äöü")
    (ax,) = heat_maps(figure)
    assert x_labels(ax) == ["ß", "␣", "İş", "a␣b", "↵", r"\x07", "$x$"]
    assert not any(label.get_parse_math() for label in ax.get_xticklabels())
    assert png(figure).startswith(b"\x89PNG")


def test_a_very_long_token_is_shortened():
    figure = plot_alignments([[1.0]], ["a" * 25], ["b" * 24])
    (ax,) = heat_maps(figure)
    assert x_labels(ax) == ["a" * 23 + "…"]
    assert y_labels(ax) == ["b" * 24]


def test_letters_stand_upright_and_long_words_turn():
    letters = heat_maps(plot_alignments(weights(3, 7), "colonel", "KRN"))[0]
    words = heat_maps(plot_alignments(weights(3, 8), SENTENCE, "KRN"))[0]
    many = heat_maps(plot_alignments(weights(3, 104), SENTENCE * 13, "KRN"))[0]
    for ax, rotation in ((letters, 0), (words, 45), (many, 90)):
        assert {label.get_rotation() for label in ax.get_xticklabels()} == {rotation}


def test_the_figure_grows_with_the_number_of_tokens():
    sizes = [
        plot_alignments(weights(n, n), "a" * n, "b" * n).get_size_inches() for n in (2, 11, 41, 200)
    ]
    for smaller, larger in itertools.pairwise(sizes):
        assert (larger > smaller).all()
    assert (sizes[-1] < 20).all()
    wide = plot_alignments(weights(2, 41), "a" * 41, "bb").get_size_inches()
    assert wide[0] > 2 * wide[1]


@pytest.mark.parametrize("target_length, source_length", [(1, 1), (1, 200), (200, 1), (200, 200)])
@pytest.mark.parametrize("token", ["a", "Straßenbahn"])
def test_labels_never_overlap_and_stay_on_the_page(target_length, source_length, token):
    figure = plot_alignments(
        weights(target_length, source_length),
        [token] * source_length,
        [token] * target_length,
        title="A title of some length that must not be cut off at the edge of the figure",
    )
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    (ax,) = heat_maps(figure)
    page = figure.bbox
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels(), *figure.texts):
        if label.get_text():
            box = label.get_window_extent(renderer)
            assert label.get_size() >= layout.SMALLEST_TEXT
            assert page.x0 <= box.x0 and box.x1 <= page.x1
            assert page.y0 <= box.y0 and box.y1 <= page.y1
    for labels, low, high in (
        (ax.get_xticklabels(), "x0", "x1"),
        (ax.get_yticklabels()[::-1], "y0", "y1"),
    ):
        extents = boxes(labels, renderer)
        for before, after in itertools.pairwise(extents):
            assert getattr(before, high) <= getattr(after, low)
    title_box = figure.texts[0].get_window_extent(renderer)
    assert title_box.y0 >= ax.xaxis.label.get_window_extent(renderer).y1


def test_slanted_labels_do_not_touch():
    figure = plot_alignments(weights(23, 24), SENTENCE * 3, "a" * 23)
    (ax,) = heat_maps(figure)
    labels = ax.get_xticklabels()
    assert labels[0].get_rotation() == 45
    column = ax.get_window_extent().width / 24
    line = labels[0].get_size() * figure.dpi / 72
    assert column * np.sqrt(0.5) >= line


def test_several_alignments_of_one_pair_are_panels():
    several = np.stack([weights(), weights()[::-1]])
    for alignments in (several, list(several), [weights(), weights(5, 13)]):
        figure = plot_alignments(alignments, "abcdefghijk", "XYZ", title="both")
        assert len(heat_maps(figure)) == 2
        assert len(bars(figure)) == 1
        assert [text.get_text() for text in figure.texts] == ["both", "1 of 2", "2 of 2"]


def test_panels_have_one_scale_of_colours():
    figure = plot_alignments([weights(), weights() / 7], "abcdefghijk", "XYZ")
    clims = {ax.images[0].get_clim() for ax in heat_maps(figure)}
    assert clims == {(0.0, weights().max())}


def test_panel_titles_and_columns_are_the_callers_choice():
    several = np.stack([weights()] * 5)
    figure = plot_alignments(several, "abcdefghijk", "XYZ", panel_titles="vwxyz", columns=2)
    places = [ax.get_position() for ax in heat_maps(figure)]
    assert len({round(place.x0, 6) for place in places}) == 2
    assert len({round(place.y1, 6) for place in places}) == 3
    assert [text.get_text() for text in figure.texts if text.get_text()] == list("vwxyz")


def test_many_wide_panels_start_new_rows():
    figure = plot_alignments(np.stack([weights(41, 41)] * 5), "a" * 41, "b" * 41)
    assert figure.get_size_inches()[0] < layout.WIDEST_ROW + 2


def test_a_page_puts_pairs_in_a_grid_without_overlap():
    items = [
        (weights(n, n + 2), SENTENCE[: n + 2], SENTENCE[:n], " ".join(SENTENCE))
        for n in range(1, 6)
    ]
    items += [(weights(3, 5), "abcde", "XYZ")]
    figure = plot_alignment_page(items, columns=3, title="Six pairs")
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    maps = heat_maps(figure)
    assert len(maps) == 6 and len(bars(figure)) == 1
    extents = [ax.get_tightbbox(renderer) for ax in maps]
    extents += [text.get_window_extent(renderer) for text in figure.texts if text.get_text()]
    extents += [bars(figure)[0].get_tightbbox(renderer)]
    page = figure.bbox
    for box in extents:
        assert page.x0 <= box.x0 and box.x1 <= page.x1
        assert page.y0 <= box.y0 and box.y1 <= page.y1
    for first, second in itertools.combinations(extents, 2):
        apart = (
            first.x1 <= second.x0
            or second.x1 <= first.x0
            or first.y1 <= second.y0
            or second.y1 <= first.y0
        )
        # words aslant in the upper right corner may stand above the bar, not on it
        assert apart or extents[-1] in (first, second)
    bar = bars(figure)[0].get_window_extent(renderer)
    for ax in maps:
        box = ax.get_window_extent(renderer)
        assert box.x1 <= bar.x0 or box.y0 >= bar.y1 or box.y1 <= bar.y0


def test_a_page_of_one_item_needs_no_more_columns():
    figure = plot_alignment_page([(np.eye(2), "ab", "XY")], columns=7)
    assert figure.get_size_inches()[0] < 4


def test_a_given_axes_is_drawn_into():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = figure.subplots()
    assert plot_alignments(weights(), "abcdefghijk", "XYZ", ax=ax, title="$a") is figure
    assert x_labels(ax) == list("abcdefghijk")
    assert ax.get_title(loc="left") == "$a"
    assert png(figure).startswith(b"\x89PNG")


def test_zero_and_integer_weights_are_drawn():
    plot_alignments(np.zeros((3, 11)), "abcdefghijk", "XYZ")
    plot_alignments(np.eye(3, dtype="int32"), "abc", "XYZ")
    plot_alignments([[0.5, 0.5]], ["a", "b"], ["c"])


def test_inputs_are_left_as_they_were():
    alignments, before = weights(), weights()
    plot_alignments(alignments, "abcdefghijk", "XYZ").savefig(io.BytesIO())
    np.testing.assert_array_equal(alignments, before)


def test_a_notebook_can_show_the_figure():
    assert plot_alignments([[1.0]], "a", "b")._repr_png_().startswith(b"\x89PNG")


def test_nothing_is_left_in_pyplot():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    png(plot_alignments(np.eye(2), "ab", "XY"))
    assert pyplot.get_fignums() == before


def test_the_folder_alone_loads_numpy_only_and_draws_without_pyplot():
    code = (
        "import sys, types, numpy\n"
        "sys.modules['attnzoo'] = package = types.ModuleType('attnzoo')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "from attnzoo.plotting import plot_alignments\n"
        "assert not {'matplotlib', 'keras', 'attnzoo.ops'} & set(sys.modules)\n"
        "plot_alignments(numpy.eye(2), 'ab', 'XY')._repr_png_()\n"
        "assert not {'matplotlib.pyplot', 'keras', 'attnzoo.ops'} & set(sys.modules)\n"
    )
    package = pathlib.Path(plotting.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(package)], check=True)


def test_figures_are_freed():
    figure = plot_alignments(np.eye(2), "ab", "XY")
    png(figure)
    alive = weakref.ref(figure)
    del figure
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    "alignments, shape",
    [
        (np.ones(3), r"\(3,\)"),
        (np.ones((2, 3, 5, 7)), r"\(2, 3, 5, 7\)"),
        (1.0, r"\(\)"),
        ([], r"\(0,\)"),
        ([np.eye(2), np.ones(3)], r"\(3,\)"),
    ],
)
def test_a_wrong_rank_is_refused(alignments, shape):
    with pytest.raises(ValueError, match=rf"must be of rank 2.*shape={shape}"):
        plot_alignments(alignments, "ab", "XY")


def test_no_alignments_are_refused():
    with pytest.raises(ValueError, match=r"must not be empty. Received: shape=\(0, 3, 5\)"):
        plot_alignments(np.ones((0, 3, 5)), "abcde", "XYZ")


@pytest.mark.parametrize("shape", [(2, 11), (3, 10)])
def test_alignments_smaller_than_the_tokens_are_refused(shape):
    with pytest.raises(ValueError, match=rf"at least \(3, 11\).*shape=\({shape[0]}, {shape[1]}\)"):
        plot_alignments(weights(*shape), "abcdefghijk", "XYZ")


@pytest.mark.parametrize("wrong, name", [(np.nan, "nan"), (np.inf, "inf")])
def test_weights_that_are_not_finite_are_refused(wrong, name):
    alignments = weights()
    alignments[1, 2] = wrong
    with pytest.raises(ValueError, match=f"must be finite. Received: a value of {name}"):
        plot_alignments(alignments, "abcdefghijk", "XYZ")


def test_negative_weights_are_refused():
    alignments = weights()
    alignments[1, 2] = -0.25
    with pytest.raises(ValueError, match="must be at least 0. Received: a weight of -0.25"):
        plot_alignments(alignments, "abcdefghijk", "XYZ")


def test_no_tokens_are_refused():
    with pytest.raises(ValueError, match="Received: 0 source tokens and 3 target tokens"):
        plot_alignments(weights(), "", "XYZ")
    with pytest.raises(ValueError, match="Received: 11 source tokens and 0 target tokens"):
        plot_alignments(weights(), "abcdefghijk", [])


def test_bad_options_are_refused():
    from matplotlib.figure import Figure

    pair = {"source_tokens": "abcdefghijk", "target_tokens": "XYZ"}
    with pytest.raises(ValueError, match="Received: 1 titles for 2 alignments"):
        plot_alignments([weights()] * 2, **pair, panel_titles=["one"])
    with pytest.raises(ValueError, match="`ax` takes one alignment.*Received: 2 alignments"):
        plot_alignments([weights()] * 2, **pair, ax=Figure().subplots())
    with pytest.raises(ValueError, match="`columns` must be at least 1. Received: columns=0"):
        plot_alignments([weights()] * 2, **pair, columns=0)
    with pytest.raises(ValueError, match="`columns` must be at least 1. Received: columns=-1"):
        plot_alignment_page([(weights(), "abcdefghijk", "XYZ")], columns=-1)
    with pytest.raises(ValueError, match="`vmax` must be above 0. Received: vmax=0"):
        plot_alignments(weights(), **pair, vmax=0)


def test_a_page_says_which_item_is_wrong():
    good = (np.eye(2), "ab", "XY")
    with pytest.raises(ValueError, match=r"at least 1 pair. Received: items=\[\]"):
        plot_alignment_page([])
    with pytest.raises(ValueError, match=r"`items\[1\]` must be .*Received: 2 parts"):
        plot_alignment_page([good, (np.eye(2), "ab")])
    with pytest.raises(ValueError, match=r"`items\[1\]` must be of rank 2.*shape=\(1, 2, 2\)"):
        plot_alignment_page([good, (np.eye(2)[None], "ab", "XY")])
    with pytest.raises(ValueError, match=r"`items\[1\]` must be at least 0.*weight of -1"):
        plot_alignment_page([good, (-np.eye(2), "ab", "XY")])


@pytest.mark.parametrize("name", ["plot_alignments", "plot_alignment_page"])
def test_a_missing_matplotlib_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = {
        "plot_alignments": (np.eye(2), "ab", "XY"),
        "plot_alignment_page": ([(np.eye(2), "ab", "XY")],),
    }
    with pytest.raises(ImportError, match=rf"`{name}` needs matplotlib.*'attnzoo\[plot\]'"):
        getattr(plotting, name)(*arguments[name])

"""Coloured text: every token is there, escaped, and legible on any page or terminal."""

import re

import numpy as np
import pytest

from attnzoo.plotting import highlight_html, highlight_terminal, highlights

pytestmark = pytest.mark.backend_free

TOKENS = ["not", "bad", "at", "all"]


def spans(text):
    """Of HTML the pairs of opacity and token."""
    found = re.findall(r"rgba\(\d+, \d+, \d+, ([\d.]+)\).*?>([^<]*)</span>", text)
    return [(float(opacity), token) for opacity, token in found]


def contrast(one, other):
    """How far two colours are apart, as accessibility guidelines count it, in [1, 21]."""

    def luminance(color):
        parts = np.asarray(color) / 255
        parts = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return parts @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_the_more_weight_the_stronger_the_colour():
    text = highlight_html(TOKENS, [0.0, 0.5, 0.25, 0.1, 0.15])  # The last is padding.
    assert spans(text) == [(0.0, "not"), (0.7, "bad"), (0.35, "at"), (0.14, "all")]
    assert text._repr_html_() == text and type(text._repr_html_()) is str
    assert spans(highlight_html(TOKENS, [0, 0.5, 0.25, 0.1], vmax=1))[1][0] == 0.35
    assert spans(highlight_html(TOKENS, [9, 0, 0, 0], vmax=1))[0][0] == 0.7
    assert all(opacity == 0 for opacity, _ in spans(highlight_html(TOKENS, np.zeros(4))))


def test_signs_have_colours_of_their_own():
    text = highlight_html(["good", "bad"], [0.5, -0.5])
    for color in (highlights.POSITIVE, highlights.NEGATIVE):
        assert text.count("rgba({}, {}, {}, 0.70)".format(*color)) == 1
    assert 'title="0.5"' in text and 'title="-0.5"' in text


def test_text_is_escaped_and_blanks_are_seen():
    text = highlight_html(["<b>", "a b", "&", '"', "\n"], np.ones(5), title="<i>", separator="<")
    assert [token for _, token in spans(text)] == ["&lt;b&gt;", "a␣b", "&amp;", "&quot;", "↵"]
    assert "<b>&lt;i&gt;</b>" in text and text.count("</span>&lt;<span") == 4
    assert "\x1b" not in highlight_terminal(["\x1b[2J"], [1.0], color=False)


@pytest.mark.parametrize("color", [highlights.POSITIVE, highlights.NEGATIVE])
@pytest.mark.parametrize("page", [0, 255])
def test_html_is_legible_on_light_and_dark_pages(color, page):
    opacity = highlights.MOST_OPAQUE
    behind = opacity * np.asarray(color) + (1 - opacity) * page
    assert contrast(behind, [255 - page] * 3) > 4.5


def test_the_colours_of_a_terminal_are_legible():
    steps = [0, 95, 135, 175, 215, 255]  # Of the cube of 216 colours.
    for code in (*highlights.POSITIVE_CODES, *highlights.NEGATIVE_CODES):
        red, rest = divmod(code - 16, 36)
        color = [steps[red], *(steps[i] for i in divmod(rest, 6))]
        assert contrast(color, [255] * 3) > 4.0


def test_a_terminal_gets_colours_in_four_steps():
    text = highlight_terminal(["a", "b", "c", "d"], [1.0, -1.0, 0.26, 0.12], color=True)
    codes = highlights.POSITIVE_CODES[-1], highlights.NEGATIVE_CODES[-1], 60
    expected = [f"\x1b[38;5;231;48;5;{n}m{c}\x1b[0m" for n, c in zip(codes, "abc", strict=True)]
    assert text == " ".join([*expected, "d"])


def test_without_colours_weights_stand_in_brackets():
    text = highlight_terminal(TOKENS, [0.01, 0.934, 0.2, 0.0], color=False)
    assert text == "not [bad 0.93] [at 0.2] all"
    text = highlight_terminal("ab", [0.002, -0.001], color=False, separator="")
    assert text == "[a +0.002][b -0.001]"


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    def is_colored():
        return "\x1b" in highlight_terminal(["a"], [1.0])

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert not is_colored()  # What a test prints goes into a file.
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert is_colored()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_colored()
    monkeypatch.setenv("TERM", "xterm")
    assert is_colored()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_colored()


@pytest.mark.parametrize("highlight", [highlight_html, highlight_terminal])
def test_what_does_not_fit_is_refused(highlight):
    with pytest.raises(ValueError, match="at least one token. Received: none"):
        highlight([], [1.0])
    for weights in (np.ones(3), np.ones((1, 4))):
        with pytest.raises(ValueError, match=r"one for each of 4 tokens. Received: shape=\("):
            highlight(TOKENS, weights)
    with pytest.raises(ValueError, match="`weights` must be finite. Received: a value of nan"):
        highlight(TOKENS, [0, 1, np.nan, 0])
    with pytest.raises(ValueError, match="`vmax` must be above 0. Received: vmax=0"):
        highlight(TOKENS, np.ones(4), vmax=0)

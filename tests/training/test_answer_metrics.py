"""Exact match and F1 of answers, case by case as SQuAD's official scripts define them."""

import pytest

from attnzoo.training import answer_exact_match, answer_f1, normalize_answer

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Panthers'  defense.", "panthers defense"),
        ("a-b (c)", "ab c"),  # Punctuation goes before articles are looked for.
        ("an the A", ""),
        ("theory", "theory"),
        ("手塚治虫、", "手塚治虫、"),  # ASCII punctuation alone.
    ],
)
def test_answers_are_normalized(text, normal):
    assert normalize_answer(text) == normal


def test_the_best_reference_counts():
    found = ["308 points", "gold", "green tea cup"]
    right = [["308", "the 308 points!"], ["golden"], ["Green tea", "tea cup tea"]]
    assert answer_exact_match(found, right) == pytest.approx(1 / 3)
    assert answer_f1(found, right) == pytest.approx((1 + 0 + 2 * 2 / 5) / 3)
    # A word counts as often as in both: "tea tea" has one of two in common.
    assert answer_f1(["tea tea"], [["tea"]]) == pytest.approx(2 / 3)


def test_versions_differ_where_an_answer_has_no_word():
    cases = {
        ("", ()): {"1.1": (1, 0), "2.0": (1, 1)},  # No answer, and none found.
        ("x", ()): {"1.1": (0, 0), "2.0": (0, 0)},
        ("the", ("a",)): {"1.1": (1, 0), "2.0": (1, 1)},
        ("", ("the", "x")): {"1.1": (1, 0), "2.0": (0, 0)},
        ("", ("x",)): {"1.1": (0, 0), "2.0": (0, 0)},
    }
    for (found, right), expected in cases.items():
        for version, values in expected.items():
            got = [
                metric([found], [list(right)], version=version)
                for metric in (answer_exact_match, answer_f1)
            ]
            assert got == list(values), (found, right, version)


def test_languages_without_blanks_are_compared_by_characters():
    assert answer_f1(["手塚治"], [["手塚治虫"]]) == 0
    assert answer_f1(["手塚 治"], [["手塚治虫"]], unit="characters") == pytest.approx(6 / 7)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`version` must be .* Received: version='3'"):
        answer_exact_match(["a"], ["a"], version="3")
    with pytest.raises(ValueError, match="`unit` must be .* Received: unit='bytes'"):
        answer_f1(["a"], ["a"], unit="bytes")
    for found, right in ((["a"], []), ([], [])):
        with pytest.raises(ValueError, match="as many predictions as references"):
            answer_f1(found, right)
    with pytest.raises(TypeError, match="`predictions` must be a list .* Received: 'a'"):
        answer_f1("a", ["a"])
    with pytest.raises(TypeError, match="An answer must be a string. Received: 3 at 0"):
        answer_f1(["a"], [[3]])

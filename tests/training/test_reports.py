import unicodedata

import pytest

from attnzoo.training.reports import format_predictions

pytestmark = pytest.mark.backend_free


def test_the_table_marks_right_and_wrong():
    table = format_predictions(["cat", "dog"], ["K AE T", "D AO"], ["K AE T", "D AO G"])
    assert table.split("\n") == [
        "   source  prediction  reference",
        "✓  cat     K AE T      K AE T",
        "✗  dog     D AO        D AO G",
        "1 of 2 right (50.0 %)",
    ]


def test_several_references_are_all_shown_and_any_is_right():
    table = format_predictions(["read"], ["R EH D"], [["R IY D", "R EH D"]])
    assert "✓  read    R EH D      R IY D | R EH D" in table


def test_a_limit_hides_rows_but_counts_them():
    words = ["a", "b", "c"]
    lines = format_predictions(words, ["x", "y", "z"], ["x", "y", "-"], limit=1).split("\n")
    assert len(lines) == 4
    assert lines[1].startswith("✓  a")
    assert lines[2] == "   ... and 2 more"
    assert lines[3] == "2 of 3 right (66.7 %)"


def test_a_limit_above_the_number_of_items_hides_nothing():
    assert "more" not in format_predictions(["a"], ["x"], ["x"], limit=7)


def test_columns_stay_aligned_with_accents_and_wide_characters():
    words = ["naïve", unicodedata.normalize("NFD", "naïve"), "東京", "İş"]
    lines = format_predictions(words, ["P"] * 4, ["R"] * 4).split("\n")
    combining = lines[2].index("P")
    assert lines[1].index("P") == 11
    assert combining == 12  # one code point more, no place more
    assert lines[3].index("P") == 9  # two wide characters stand for four
    assert lines[4].index("P") == 11


def test_long_cells_go_on_in_the_next_line():
    text = "one two three four five six seven"
    lines = format_predictions([text], ["x"], ["y"], width=11).split("\n")
    shown = [line[3:14].strip() for line in lines[1:-1]]
    assert shown == ["one two", "three four", "five six", "seven"]
    assert [line[0] for line in lines[1:-1]] == ["✗", " ", " ", " "]


def test_a_word_longer_than_the_column_is_broken():
    lines = format_predictions(["abcdefghijk"], ["x"], ["y"], width=8).split("\n")
    assert lines[1].split()[1] == "abcdefgh"
    assert lines[2].split()[0] == "ijk"


def test_control_characters_do_not_break_the_table():
    lines = format_predictions(["a\tb"], ["c\nd"], [""]).split("\n")
    assert len(lines) == 3
    assert r"a\tb" in lines[1] and r"c\nd" in lines[1]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="Received: 2 words, 1 predictions and 1 references"):
        format_predictions(["a", "b"], ["a"], ["a"])
    with pytest.raises(ValueError, match=r"at least 1 item. Received: words=\[\]"):
        format_predictions([], [], [])
    with pytest.raises(ValueError, match="`limit` must be at least 1. Received: limit=0"):
        format_predictions(["a"], ["a"], ["a"], limit=0)
    with pytest.raises(ValueError, match="`width` must be at least 8. Received: width=7"):
        format_predictions(["a"], ["a"], ["a"], width=7)

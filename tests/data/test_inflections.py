"""Tables of inflected words, in the orders that shared tasks have had."""

import pytest

from attnzoo.data import read_inflections

pytestmark = pytest.mark.backend_free

PAIRS = [("e v <N> <LOC> <SG>", "e v d e"), ("e l <N> <LOC> <SG>", "e l d e")]
ROWS = [("ev", "evde", "N;LOC;SG"), ("el", "elde", "N;LOC;SG")]


def write(folder, rows, end="\n"):
    path = folder / "a.tsv"
    path.write_bytes("".join("\t".join(row) + end for row in rows).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_either_order_gives_the_same_pairs(order, end, tmp_path):
    rows = [[row[place] for place in order] for row in ROWS]
    assert list(read_inflections(write(tmp_path, rows, end))) == PAIRS


def test_tags_of_2016_are_names_with_values(tmp_path):
    path = write(tmp_path, [("aalto", "pos=N,case=IN+ABL,num=SG", "aallosta")])
    source = "a a l t o <pos=N> <case=IN+ABL> <num=SG>"
    assert list(read_inflections(path)) == [(source, "a a l l o s t a")]


def test_tags_may_have_tags_within(tmp_path):
    path = write(tmp_path, [("be", "V;PRS;NOM(1,SG)", "am")])
    assert list(read_inflections(path)) == [("b e <V> <PRS> <NOM(1,SG)>", "a m")]


def test_a_form_in_capitals_is_no_tag_where_most_lines_say_so(tmp_path):
    rows = [*ROWS, ("usa", "USA", "PROPN"), ("tv", "TV", "N;SG")]
    assert list(read_inflections(write(tmp_path, rows)))[2:] == [
        ("u s a <PROPN>", "U S A"),
        ("t v <N> <SG>", "T V"),
    ]


def test_hidden_forms_are_empty(tmp_path):
    rows = [(lemma, tags) for lemma, _, tags in ROWS]
    assert list(read_inflections(write(tmp_path, rows))) == [(source, "") for source, _ in PAIRS]


def test_two_columns_without_tags_are_an_error(tmp_path):
    path = write(tmp_path, [*ROWS, ("ev", "evler")])
    with pytest.raises(ValueError, match=r"a.tsv, line 3. Received: 2 columns in 'ev\\tevler'"):
        list(read_inflections(path))


@pytest.mark.parametrize("start", [2, 1500])
def test_a_line_in_another_order_is_an_error(start, tmp_path):
    rows = [*ROWS] * (start // 2) + [("ev", "N;PL", "evler")]
    message = rf"look exchanged: .*a.tsv, line {start + 1}. .*lemma, form, tags. Received: \['ev'"
    with pytest.raises(ValueError, match=message):
        list(read_inflections(write(tmp_path, rows)))


def test_tags_in_front_are_an_error(tmp_path):
    rows = [(tags, lemma, form) for lemma, form, tags in ROWS]
    with pytest.raises(ValueError, match="look exchanged: .*a.tsv, line 1. .* Received: .*'N;LOC"):
        list(read_inflections(write(tmp_path, rows)))


def test_columns_of_which_none_looks_like_tags_are_lemma_form_tags(tmp_path):
    path = write(tmp_path, [("ev", "evde", "yer")])
    assert list(read_inflections(path)) == [("e v <yer>", "e v d e")]

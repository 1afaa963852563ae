"""Where answers may begin and end: the same in Python and in a graph."""

import numpy as np
import pytest

from attnzoo import models
from attnzoo.models.preprocessing.span_units import SPAN_UNITS, find_units, read_units
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = [
    "in 1998, ok",
    " it's 6½ m (2°)\n",
    "手塚治虫(1928年)は、漫画家",
    "e\u0301a \U0001f600\u00a0b_c",
    "ไทย ผ้า",
    " \t",
]
PARTS = {
    "in 1998, ok": ["in", "1998", ",", "ok"],
    " it's 6½ m (2°)\n": ["it", "'", "s", "6½", "m", "(", "2", "°", ")"],
    "手塚治虫(1928年)は、漫画家": [*"手塚治虫(", "1928", *"年)は、漫画家"],
    "e\u0301a \U0001f600\u00a0b_c": ["e\u0301a", "\U0001f600", "\u00a0", "b", "_", "c"],
    " \t": [],
}


@pytest.mark.parametrize("text", PARTS)
def test_punctuation_and_some_scripts_separate_parts_of_words(text):
    assert [text[a:b] for a, b in find_units(text, "word_parts")] == PARTS[text]


def test_a_character_is_read_with_the_white_space_after_it():
    assert find_units(" a  b ", "characters") == [(1, 2), (4, 5)]
    assert read_units(" a  b ", "characters") == ["a  ", "b "]
    assert read_units(" a  b ", "word_parts") == ["a", "b"]


@pytest.mark.parametrize("span_unit", SPAN_UNITS)
def test_a_graph_finds_the_same(span_unit):
    tf = pytest.importorskip("tensorflow")
    from attnzoo.models.preprocessing.span_units import find_units_in_graph

    units, starts, ends = tf.function(find_units_in_graph)(tf.constant(TEXTS), span_unit)
    found = [
        list(zip(*row, strict=True)) for row in zip(starts.to_list(), ends.to_list(), strict=True)
    ]
    assert found == [find_units(text, span_unit) for text in TEXTS]
    read = [[unit.decode() for unit in row] for row in units.to_list()]
    assert read == [read_units(text, span_unit) for text in TEXTS]


def test_characters_keep_their_blanks_in_tokens():
    from attnzoo.data import CharacterTokenizer

    tokenizer = CharacterTokenizer.from_texts(["ab "])
    preprocessor = models.TransformerSpanQAPreprocessor(
        tokenizer, sequence_length=11, span_unit="characters"
    )
    x, y, _ = preprocessor([("a", "a b ")], [(2, 4)])
    tokens = [tokenizer.id_to_token(int(i)) for i in x["token_ids"][0]]
    assert tokens[2:6] == ["a", " ", "b", " "]
    assert np.flatnonzero(x["span_mask"][0]).tolist() == [2, 4] and y.tolist() == [[4, 4]]


def test_another_unit_is_refused():
    with pytest.raises(ValueError, match="`span_unit` must be one of .* Received: span_unit='w'"):
        models.TransformerSpanQAPreprocessor(tiny.make_text_tokenizer(), span_unit="w")

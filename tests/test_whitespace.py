"""White space is the same for tokenizers, words, spans, labels and error rates."""

import numpy as np
import pytest

from attnzoo import data, models, training
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.span_units import find_units_in_graph
from attnzoo.models.preprocessing.spans import find_answer
from attnzoo.whitespace import WHITE_SPACE, find_spans, split_words

pytestmark = pytest.mark.backend_free

# What separates, and spaces that do not.
SEPARATED = "".join(f"a{space}" for space in WHITE_SPACE) + "b"
WHOLE = "a\u00a0b\u3000c\u2028d\x1ce\x85f"


def test_words_are_what_ascii_white_space_separates():
    assert split_words(SEPARATED) == ["a"] * len(WHITE_SPACE) + ["b"]
    assert split_words(f" {WHOLE}\n") == [WHOLE]
    assert find_spans(f"\t{WHOLE} b") == [(1, 12), (13, 14)]
    assert split_words(" \r\n") == find_spans("\v\f") == []


@pytest.mark.parametrize("text", [SEPARATED, WHOLE, f" {WHOLE} {SEPARATED}\n"])
def test_all_find_the_same_words(text, tmp_path):
    import tensorflow as tf

    words = split_words(text)
    tokenizer = data.SymbolTokenizer.from_texts([text])
    assert tokenizer.symbols(text) == form().split_words([text])[0] == words
    graph = tf.function(lambda one: tokenizer(one))
    assert graph([text]).to_list() == tokenizer([text])
    found = tf.function(find_units_in_graph)(tf.constant([text]), "words")
    assert [word.decode() for word in found[0].to_list()[0]] == words
    spans = list(zip(*(one.to_list()[0] for one in found[1:]), strict=True))
    assert spans == find_spans(text)
    assert find_answer(text, (0, len(text))) == (0, len(words) - 1)
    # One word more than the reference has is one edit.
    rates = (training.phoneme_error_rate, training.token_error_rate)
    assert [rate([f"{text} x"], [text]) for rate in rates] == [1 / len(words)] * 2


def test_names_of_tags_and_labels_of_texts_go_by_it_too(tmp_path):
    assert ClassLabels([WHOLE], separated=True).id(WHOLE) == 0
    with pytest.raises(ValueError, match=r"strings without white space. Received: 'a\\x0bb'"):
        ClassLabels(["a\vb"], separated=True)
    (tmp_path / "texts.txt").write_text(f"{WHOLE} a film\n", encoding="utf-8")
    assert list(data.read_labelled(tmp_path / "texts.txt")) == [("a film", WHOLE)]


def test_a_context_has_the_words_that_its_symbols_are():
    context = f"{WHOLE} b"
    tokenizer = data.SymbolTokenizer.from_texts([context, "q"])
    preprocessor = models.TransformerSpanQAPreprocessor(tokenizer, sequence_length=8)
    x, y, _ = preprocessor([("q", context)], [(0, len(WHOLE))])
    ids = [int(np.asarray(x["token_ids"])[0, place]) for place in np.asarray(y)[0]]
    assert ids == tokenizer(WHOLE) * 2

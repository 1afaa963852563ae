"""Questions and contexts in one row, and answers from characters to words and back."""

import keras_hub
import numpy as np
import pytest

from attnzoo import data, models
from attnzoo.models.preprocessing.spans import find_answer
from attnzoo.whitespace import find_spans
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

PAIRS = [("not good", "a  bad film"), ("film", "good film at all")]


def make(tokenizer=None, **arguments):
    arguments = {"sequence_length": 11, **arguments}
    tokenizer = tokenizer or tiny.make_text_tokenizer()
    return models.TransformerSpanQAPreprocessor(tokenizer, **arguments)


def test_a_question_comes_before_its_context():
    x, y, weight = make(add_start=True)(PAIRS, [(3, 11), (0, 4)])
    good = tiny.make_text_tokenizer().token_to_id
    row = [2, good("not"), good("good"), 3, good("a"), good("bad"), good("film"), 3]
    assert x["token_ids"].tolist()[0] == row
    assert np.flatnonzero(x["span_mask"][0]).tolist() == [4, 5, 6]
    assert np.flatnonzero(x["span_mask"][1]).tolist() == [3, 4, 5, 6]
    assert y.tolist() == [[5, 6], [3, 3]] and weight.tolist() == [[1, 1], [1, 1]]
    assert set(make()(PAIRS)) == {"token_ids", "padding_mask", "span_mask"}
    assert make()(PAIRS, [(3, 11), (0, 4)], [0.5, 2.0])[2].tolist() == [[0.5, 0.5], [2.0, 2.0]]


def test_characters_become_words_and_words_characters():
    context = " a  bad film"
    assert find_spans(context) == [(1, 2), (4, 7), (8, 12)]
    assert find_answer(context, (4, 7)) == (1, 1)
    assert find_answer(context, (5, 9)) == (1, 2)  # Parts stand for the whole.
    assert find_answer(context, (0, 12)) == (0, 2)


def test_a_word_of_several_tokens_stands_at_its_first():
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[START]", "[END]", "cat", "##s", "sit"]
    )
    x, y, _ = make(tokenizer)([("cat", "cats sits cat")], [(5, 13)])
    assert x["token_ids"][0, :8].tolist() == [4, 3, 4, 5, 6, 5, 4, 3]
    assert np.flatnonzero(x["span_mask"][0]).tolist() == [2, 4, 6] and y.tolist() == [[4, 6]]


def test_an_answer_that_is_cut_off_has_no_weight():
    preprocessor = make(sequence_length=5)
    with pytest.warns(UserWarning, match="1 of 1 texts have more than 5 tokens"):
        x, y, weight = preprocessor([("film", "a bad film")], [(2, 10)])
    assert weight.tolist() == [[0, 0]] and y.tolist() == [[0, 0]]
    assert np.flatnonzero(x["span_mask"][0]).tolist() == [2, 3]
    with pytest.raises(ValueError, match="at most 5 tokens.* Received: 6 tokens at position 0"):
        make(sequence_length=5, truncate="error")([("film", "a bad film")])


@pytest.mark.shared("torch")
def test_a_graph_gives_the_same_and_where_words_are_in_characters():
    tf = pytest.importorskip("tensorflow")
    preprocessor = make(truncate="silent")
    pairs = [("film", "é\u00a0not\u2003 a  b"), ("not good", " bad"), ("a", "film " * 11)]
    packed = preprocessor(pairs)
    found = tf.function(preprocessor.pack_in_graph)(
        tf.constant([question for question, _ in pairs]),
        tf.constant([context for _, context in pairs]),
    )
    found = {name: value.numpy() for name, value in found.items()}
    for name, expected in packed.items():
        assert np.array_equal(found[name], expected)
    for row, (_, context) in enumerate(pairs):
        firsts = packed["span_mask"][row]
        spans = np.stack([found["word_starts"][row], found["word_ends"][row]], axis=1)
        assert spans[firsts].tolist() == [list(s) for s in find_spans(context)][: firsts.sum()]
        assert not spans[~firsts].any()


@pytest.mark.parametrize(
    ("pairs", "spans", "message"),
    [
        (PAIRS[:1], [(3, 12)], "end <= 11. Received: start=3, end=12 in 'a  bad film'"),
        (PAIRS[:1], [(-1, 2)], "Received: start=-1, end=2"),
        (PAIRS[:1], [(3, 3)], "Received: start=3, end=3"),
        (PAIRS[:1], [(1, 3)], "must hold a word. Received: start=1, end=3"),
        (PAIRS[:1], [None], "must be two whole numbers, .* Received: None in 'a  bad film'"),
        (PAIRS[:1], [(1, 2, 3)], r"must be two whole numbers, .* Received: \(1, 2, 3\) in"),
        (PAIRS[:1], [(2.7, 5.9)], r"must be two whole numbers, .* Received: \(2.7, 5.9\) in"),
        (PAIRS[:1], ["25"], "must be two whole numbers, .* Received: '25' in"),
        (PAIRS, [(0, 1)], "as many spans as pairs. Received: 2 pairs, 1 spans"),
        ([("", "a")], None, "A question must .* Received: '' at position 0"),
        ([("a", " ")], None, "A context must .* Received: ' ' at position 0"),
        ([("a " * 9, "a")], None, "leave room .* Received: a question of 9 tokens at position 0"),
        (["ab"], None, "pairs of strings, .* Received: 'ab' at position 0"),
    ],
)
def test_what_does_not_fit_is_refused(pairs, spans, message):
    with pytest.raises(ValueError, match=message):
        make()(pairs, spans)


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="There must be at least one pair. Received: none"):
        make().check_texts([])


def test_a_word_that_gives_no_token_is_named_with_its_context():
    class Forgetful(data.SymbolTokenizer):
        def tokenize(self, inputs):
            return [[i for i in row if i > 4] for row in super().tokenize(inputs)]

    tokenizer = Forgetful(tiny.make_text_tokenizer().get_vocabulary())
    forgotten = tokenizer.id_to_token(4)
    match = f"'{forgotten}' in the context at position 1. Take it out of the context"
    with pytest.raises(ValueError, match=match):
        make(tokenizer)([("film", "film"), ("film", f"film {forgotten}")], [(0, 4), (0, 4)])


def test_a_span_that_is_none_is_named_by_its_position():
    for span in (None, (0, None), (0, 99), (1, 2)):
        with pytest.raises(ValueError, match="A span must .* at position 1"):
            make()([("bad", "a  bad film")] * 2, [(3, 6), span])


LONG = [("film", "a bad film at all not good film"), ("bad", "a bad film")]


def make_windows(**arguments):
    return make(sequence_length=7, stride=2, **arguments)


def test_a_long_context_is_split_into_windows_that_overlap():
    preprocessor = make_windows()
    rows = preprocessor.make_rows(LONG)
    assert rows.pairs == [0, 0, 0, 1] and rows.units == [0, 2, 4, 0]
    names = preprocessor.tokenizer.id_to_token
    words = [[names(i) for i in ids[2:]] for ids in rows.ids]
    assert words == [
        ["a", "bad", "film", "at"],
        ["film", "at", "all", "not"],
        ["all", "not", "good", "film"],
        ["a", "bad", "film"],
    ]
    # "all not" stands in the second and third window, whose weight is not 0.
    x, y, weight = preprocessor(LONG, [(14, 21), (2, 5)], [3.0, 0.5])
    assert x["token_ids"].shape == (4, 7)
    assert weight[:, 0].tolist() == [0.0, 3.0, 3.0, 0.5]
    assert y.tolist() == [[0, 0], [4, 5], [2, 3], [3, 3]]


def test_a_stride_skips_nothing():
    rows = make(sequence_length=7, stride=9).make_rows(LONG[:1])
    assert rows.units == [0, 4]  # There is room for four words.


def test_a_window_may_begin_within_a_word():
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[START]", "[END]", "cat", "##s", "sit"]
    )
    preprocessor = make(tokenizer, sequence_length=6, stride=1)
    rows = preprocessor.make_rows([("cat", "cats sits cat")])
    assert rows.firsts == [[0, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 1]]
    assert rows.units == [0, 1, 1]
    # "sits" is whole in the last window, and begins in the others.
    x, y, weight = preprocessor([("cat", "cats sits cat")], [(5, 9)])
    assert y[:, 0].tolist() == [4, 3, 2] and weight.tolist() == [[1, 1]] * 3


def test_no_answer_stands_at_the_end_of_the_question():
    preprocessor = make_windows(no_answer=True)
    x, y, weight = preprocessor(LONG, [(14, 21), None])
    assert x["span_mask"][:, 1].all()
    assert weight.tolist() == [[1, 1]] * 4
    assert y.tolist() == [[1, 1], [4, 5], [2, 3], [1, 1]]


def test_windows_and_no_answer_are_in_the_config():
    preprocessor = make_windows(no_answer=True, span_unit="word_parts")
    again = type(preprocessor).from_config(preprocessor.get_config())
    assert (again.stride, again.no_answer, again.span_unit) == (2, True, "word_parts")
    with pytest.raises(ValueError, match="`stride` must be .* Received: stride=0"):
        make(stride=0)

"""Questions in every form of file, and their batches."""

import gzip
import json

import numpy as np
import pytest

from attnzoo import models
from attnzoo.data import Question, SpanBatches, read_questions
from tests.models import tiny

pytestmark = pytest.mark.backend_free

RECORD = {"question": "what", "context": "a bad film", "answers": [{"text": "bad", "start": 2}]}


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_json_lines_have_any_of_the_usual_fields(tmp_path):
    hugging_face = {**RECORD, "answers": {"text": ["bad"], "answer_start": [2]}}
    squad = {**RECORD, "answers": [{"text": "bad", "answer_start": 2}], "id": 7}
    none = {**RECORD, "answers": {"text": [], "answer_start": []}}
    found = list(
        read_questions(write_lines(tmp_path / "q.jsonl", RECORD, hugging_face, squad, none))
    )
    expected = Question("what", "a bad film", ("bad",), ((2, 5),))
    assert found[:2] == [expected] * 2 and found[2].id == "7"
    assert found[0].pair == ("what", "a bad film") and found[0].span == (2, 5)
    assert found[3].answers == () and found[3].span is None


@pytest.mark.parametrize("compressed", [False, True])
def test_squads_own_files_are_read(tmp_path, compressed):
    asked = [
        {"id": "x", "question": "what", "answers": [{"text": "bad", "answer_start": 2}] * 2},
        {"id": "y", "question": "who", "is_impossible": True, "answers": []},
    ]
    text = json.dumps({"data": [{"paragraphs": [{"context": "a bad film", "qas": asked}]}]})
    path = tmp_path / ("dev.json.gz" if compressed else "dev.json")
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    one, other = read_questions(path)
    assert one.answers == ("bad", "bad") and one.spans == ((2, 5), (2, 5)) and one.id == "x"
    assert other.answers == () and other.pair == ("who", "a bad film")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**RECORD, "question": " "}, "must have `question`, a string: .* Received: question=' '"),
        ({**RECORD, "context": None}, "must have `context`, a string: .* Received: context=None"),
        ({**RECORD, "answers": None}, "must have `answers`, a list: .* Received: answers=None"),
        ({**RECORD, "answers": ["bad"]}, "must have `text`, a string, and `start`.* Received: {}"),
        (
            {**RECORD, "answers": [{"text": "bad", "start": 3}]},
            "stand at its position .* line 1. Received: 'bad' at 3, where the context has 'ad '",
        ),
        ([1], r"A line must be a JSON object: .*, line 1. Received: '\[1\]'"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, record, message):
    with pytest.raises(ValueError, match=message):
        list(read_questions(write_lines(tmp_path / "q.jsonl", record)))


def test_a_file_that_does_not_fit_is_named(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("what\tfilm\n")
    with pytest.raises(ValueError, match="A line must be a JSON object: .* Received: 'what"):
        list(read_questions(path))
    path = tmp_path / "q.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="A .json file must be one of SQuAD's; .* TypeError"):
        list(read_questions(path))
    path.write_text('{"data": []}')
    with pytest.raises(ValueError, match="must hold a question: .* Received: none"):
        list(read_questions(path))
    with pytest.raises(FileNotFoundError, match="must be a file that exists"):
        read_questions(tmp_path / "missing.json")


def test_batches_have_windows_of_similar_length():
    preprocessor = models.TransformerSpanQAPreprocessor(
        tiny.make_text_tokenizer(), sequence_length=20, stride=4
    )
    pairs = [("film", "a bad film " * n) for n in (1, 8, 2, 1)]
    spans = [(2, 5)] * 4
    batches = SpanBatches(pairs, spans, preprocessor, batch_size=2, seed=3)
    shapes = [x["token_ids"].shape for x, _, _ in (batches[n] for n in range(len(batches)))]
    assert len(batches) == 3 and shapes[0][1] < shapes[1][1] == 20
    rows = sum(len(weight) for _, _, weight in (batches[n] for n in range(len(batches))))
    assert rows == len(preprocessor.make_rows(pairs)) == 6
    x, places, weight = batches[0]
    whole = preprocessor([pairs[0], pairs[3]], spans[:2])
    np.testing.assert_array_equal(places, whole[1])
    np.testing.assert_array_equal(weight, whole[2])
    np.testing.assert_array_equal(x["span_mask"], whole[0]["span_mask"])


def test_batches_refuse_what_does_not_fit():
    preprocessor = models.TransformerSpanQAPreprocessor(tiny.make_text_tokenizer())
    with pytest.raises(ValueError, match="as many spans as pairs. Received: 1 pairs, 2 spans"):
        SpanBatches([("film", "film")], [(0, 4)] * 2, preprocessor)
    with pytest.raises(ValueError, match="are not drawn: .* Received: subword_sampling=0.1"):
        SpanBatches([("film", "film")], [(0, 4)], preprocessor, subword_sampling=0.1)

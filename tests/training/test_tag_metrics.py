"""Metrics of tags."""

import sys

import pytest

from attnzoo.training import entity_scores, tag_accuracy
from attnzoo.training.tag_metrics import are_bio

pytestmark = pytest.mark.backend_free

RIGHT = [["B-PER", "I-PER", "O"], ["B-LOC", "B-LOC"]]


def test_a_word_without_a_tag_is_wrong():
    assert tag_accuracy([["B-PER", "O", "O"], ["B-LOC"]], RIGHT) == 3 / 5


@pytest.mark.parametrize(
    "found, expected",
    [
        (RIGHT, (1.0, 1.0, 1.0)),
        ([["B-PER", "O", "O"], ["B-LOC", "B-LOC"]], (2 / 3, 2 / 3, 2 / 3)),
        ([["I-PER", "I-PER", "O"], ["B-LOC", "O"]], (1.0, 1 / 3, 0.5)),  # Begun by no B.
        ([["B-PER", "I-LOC", "O"], ["B-LOC"]], (1 / 2, 1 / 3, 0.4)),
        ([["O", "O", "O"], ["O", "O"]], (0.0, 0.0, 0.0)),
    ],
)
def test_entities_are_right_with_all_their_words_and_their_type(found, expected):
    pytest.importorskip("seqeval")
    assert entity_scores(found, RIGHT) == pytest.approx(expected)


def test_without_seqeval_its_installation_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "seqeval.metrics", None)
    with pytest.raises(ImportError, match=r"need seqeval. .* 'attnzoo\[text\]'"):
        entity_scores(RIGHT, RIGHT)


@pytest.mark.parametrize(
    "found, right, message",
    [
        ([["O"]], RIGHT, "Received: 1 and 2"),
        ([["O", "O"]], [["O"]], "Received: 2 tags for 1 words at position 0"),
        ([[]], [[]], "at least one word. Received: none"),
    ],
)
def test_tags_that_do_not_fit_are_refused(found, right, message):
    with pytest.raises(ValueError, match=message):
        tag_accuracy(found, right)


def test_tags_of_entities_are_told_from_others():
    assert are_bio(["O", "B-PER", "I-PER"]) and are_bio(["B-X"])
    assert not are_bio(["DET", "NOUN"]) and not are_bio(["O"]) and not are_bio(["B", "I", "O"])
    assert not are_bio(["B-PER", "S-PER"])

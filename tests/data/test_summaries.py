"""Readers of texts with summaries."""

import gzip

import pytest

from attnzoo import data

pytestmark = pytest.mark.backend_free

LINES = '{"id": 1, "text": "A  long\\ntext.", "summary": "Short"}\n\n{"text": "B", "summary": ""}\n'
STORY = "(CNN)Headline\n\nIt rained.\n\n@highlight\n\nRain\n\n@highlight\n\nNo sun!\n"


def test_fields_of_json_lines_are_pairs(tmp_path):
    path = tmp_path / "dev.jsonl.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    assert list(data.read_json_lines(path, "text", "summary")) == [
        ("A long text.", "Short"),
        ("B", ""),
    ]
    assert next(data.read_json_lines(path, "summary")) == ("Short", "")


@pytest.mark.parametrize(
    "line, message",
    [
        ("[1, 2", r"a JSON object: .*dev.jsonl, line 1. Received: '\[1, 2'"),
        ("[1, 2]", r"fields \['text', 'summary'\]: .* line 1. Received: '\[1, 2\]'"),
        ('{"text": "a"}', "a string in each of the fields"),
        ('{"text": "a", "summary": 3}', "a string in each of the fields"),
    ],
)
def test_lines_without_the_fields_are_refused(tmp_path, line, message):
    path = tmp_path / "dev.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        list(data.read_json_lines(path, "text", "summary"))


def test_stories_are_articles_and_their_highlights(tmp_path):
    (tmp_path / "b.story").write_text(STORY.replace("rained", "snowed"))
    (tmp_path / "a.story").write_text(STORY)
    found = list(data.read_stories(tmp_path))
    assert found[0] == ("(CNN)Headline . It rained.", "Rain . No sun!")
    assert "snowed" in found[1][0]


def test_what_is_no_story_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"must have .story files. Received: {tmp_path}"):
        data.read_stories(tmp_path)
    (tmp_path / "a.story").write_text("It rained.\n")
    with pytest.raises(ValueError, match="a.story. Received: 1 lines, 0 highlights"):
        list(data.read_stories(tmp_path))

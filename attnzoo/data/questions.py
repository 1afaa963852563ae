"""Questions with contexts and answers: SQuAD's files, and JSON lines."""

import dataclasses
import gzip
import json
import os
from collections.abc import Iterator

from attnzoo.data.lines import STANDARD_INPUT, existing, number_filled_lines


@dataclasses.dataclass(frozen=True)
class Question:
    """A question, its context and its answers.

    Args:
        question: The question.
        context: The text that may hold the answer.
        answers: The right answers; none if the context has no answer.
        spans: For each answer the positions in the context of its first character, and of the
            character after its last.
        id: The question's name in its file, or "".
    """

    question: str
    context: str
    answers: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    id: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """The question and its context, as tasks take them."""
        return self.question, self.context

    @property
    def span(self) -> tuple[int, int] | None:
        """The first answer's span, for training; None if there is no answer."""
        return self.spans[0] if self.spans else None


def read_questions(path: str | os.PathLike) -> Iterator[Question]:
    """Read questions with contexts and answers.

    The file is that of SQuAD, versions 1.1 and 2.0 (`data`, `paragraphs`, `qas`); or has a JSON
    object on each line with `question`, `context`, and `answers`, a list of objects with `text` and
    `start` or `answer_start`, or as in Hugging Face's copies an object of two lists. Positions
    count characters (code points). In SQuAD 2.0 a question with `is_impossible` has no answer.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input, for
            JSON lines.

    Returns:
        An iterator over `Question`s, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, with the place: if the file has another form or is empty, a field
            is missing, or an answer does not stand at its position.

    Example:
        >>> question = next(attnzoo.data.read_questions("dev-v2.0.json"))
        >>> question.pair, question.answers

    References:
        [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250).
        [Rajpurkar et al., 2018](https://arxiv.org/abs/1806.03822).
    """
    file = existing(path, "path")
    is_squad = os.fspath(path) != STANDARD_INPUT and str(path).removesuffix(".gz").endswith(".json")
    return _read_squad(file) if is_squad else _read_lines(file)


def _read_squad(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open("rb")
    with opened as file:
        try:
            articles = json.load(file)["data"]
            found = [
                (paragraph["context"], one)
                for article in articles
                for paragraph in article["paragraphs"]
                for one in paragraph["qas"]
            ]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                "A .json file must be one of SQuAD's; other questions are JSON lines, in a .jsonl "
                f"file: {path}. Received: {type(error).__name__} {error}"
            ) from error
    if not found:
        raise ValueError(f"A file must hold a question: {path}. Received: none")
    for context, one in found:
        yield _make_question({**one, "context": context}, f"{path}, question {one.get('id')!r}")


def _read_lines(path):
    for number, line in number_filled_lines(path):
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"A line must be a JSON object: {place}. Received: {line[:60]!r}"
            ) from error
        if not isinstance(record, dict):
            raise ValueError(f"A line must be a JSON object: {place}. Received: {line[:60]!r}")
        yield _make_question(record, place)


def _make_question(record: dict, place: str) -> Question:
    for name in ("question", "context"):
        if not isinstance(record.get(name), str) or not record[name].strip():
            raise ValueError(
                f"A question must have `{name}`, a string: {place}. "
                f"Received: {name}={record.get(name)!r}"
            )
    answers = [] if record.get("is_impossible") else _list_answers(record.get("answers"), place)
    context = record["context"]
    for text, start in answers:
        if not text or context[start : start + len(text)] != text:
            raise ValueError(
                f"An answer must stand at its position in the context: {place}. Received: "
                f"{text!r} at {start}, where the context has {context[start : start + len(text)]!r}"
            )
    return Question(
        record["question"],
        context,
        tuple(text for text, _ in answers),
        tuple((start, start + len(text)) for text, start in answers),
        str(record.get("id", "")),
    )


def _list_answers(answers, place):
    """Return (text, start) of each answer, in any of the forms."""
    if isinstance(answers, dict) and isinstance(answers.get("text"), list):
        starts = answers.get("answer_start") or answers.get("start") or []
        answers = [{"text": t, "start": s} for t, s in zip(answers["text"], starts, strict=False)]
    if not isinstance(answers, list):
        raise ValueError(
            f"A question must have `answers`, a list: {place}. Received: answers={answers!r}"
        )
    found = []
    for one in answers:
        one = one if isinstance(one, dict) else {}
        text, start = one.get("text"), one.get("start", one.get("answer_start"))
        if not isinstance(text, str) or not isinstance(start, int) or start < 0:
            raise ValueError(
                "An answer must have `text`, a string, and `start`, a whole number, at least 0: "
                f"{place}. Received: {one!r}"
            )
        found.append((text, start))
    return found

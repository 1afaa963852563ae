"""From inputs to rows of ids, packed as the model was trained: one dict for each input."""

import re

from .tokenizer import Tokenizer

_WORD = "([^ \t\n\v\f\r]+)"  # White space is that of ASCII.


class RowMaker:
    """Makes the rows of a model from the `"text"` of its description.

    Args:
        description: dict, as `attnzoo.export.description` writes it.
        task: Name of the task, as in `attnzoo.json`.

    Call arguments:
        given: An input: a text, or for question answering a question and its context.
        place: Its position, for messages.

    Returns:
        dict of `ids`, the packed row; for tags and answers also `starts`, 1 at the first token of
        each word, and `words`, their first and last character.
    """

    def __init__(self, description: dict, task: str):
        source = description["source"]
        target = dict(description.get("target", source))
        if target["tokenizer"] == "source":
            target["tokenizer"] = source["tokenizer"]
        self.source, self.target = source, target
        self.tokenizer = Tokenizer(source["tokenizer"])
        same = target["tokenizer"] is source["tokenizer"]
        self.output_tokenizer = self.tokenizer if same else Tokenizer(target["tokenizer"])
        self.mask = description.get("mask") or {}
        self._separator = description.get("separator")
        self._unit = re.compile(description.get("units", _WORD))
        self._no_answer = int(description.get("no_answer", False))
        self._refuses = description["truncate"] == "error"
        readers = {"token_tagger": self._words, "masked_lm": self._masks, "span_qa": self._pair}
        self._read = readers.get(task, self._text)

    def __call__(self, given, place: int) -> dict:
        return self._pack(self._read(given, place), place)

    def names(self, ids, of_output: bool = False) -> list[str]:
        """Return the tokens of ids as strings."""
        known = (self.output_tokenizer if of_output else self.tokenizer).tokens
        id_of_mask = self.mask.get("id")
        return [self.mask["token"] if id == id_of_mask else known[id] for id in map(int, ids)]

    def _text(self, given, place):
        return {"ids": self.tokenizer.tokenize(_check(given, place))}

    def _words(self, given, place, row=None):
        row = {"ids": [], "starts": [], "words": [], **(row or {})}
        for word in self._unit.finditer(_check(given, place)):
            ids = self.tokenizer.tokenize(word.group())
            if not ids:
                _refuse("A word must have at least one token", repr(word.group()), place)
            row["ids"] += ids
            row["starts"] += [1] + [0] * (len(ids) - 1)
            row["words"].append(word.span(1))
        return row

    def _masks(self, given, place):
        token, id = self.mask["token"], self.mask["id"]
        ids = []
        for number, part in enumerate(_check(given, place).split(token)):
            ids += [id] * (number > 0) + (self.tokenizer.tokenize(part) if part.strip() else [])
        return {"ids": ids}

    def _pair(self, given, place):
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            _refuse("An input must be a pair of strings, (question, context)", repr(given), place)
        ids = [*self.tokenizer.tokenize(_check(given[0], place)), self._separator]
        if len(ids) >= self._room():
            rule = f"A question must leave room for a context in {self.source['length']} tokens"
            _refuse(rule, f"a question of {len(ids) - 1} tokens", place)
        # "No answer" is at the separator, and stands for no character of the context.
        starts = [0] * (len(ids) - 1) + [self._no_answer]
        words = [(0, 0)] * self._no_answer
        return self._words(given[1], place, {"ids": ids, "starts": starts, "words": words})

    def _room(self):
        ends = (self.source["start"], self.source["end"])
        return self.source["length"] - sum(one is not None for one in ends)

    def _pack(self, row, place):
        """Cut a row, and put start and end around it."""
        start, end = ([] if self.source[n] is None else [self.source[n]] for n in ("start", "end"))
        room = self._room()
        if self._refuses and len(row["ids"]) > room:
            rule = f"A text must have at most {self.source['length']} tokens, special ones counted"
            _refuse(rule, f"{len(row['ids']) + len(start) + len(end)} tokens", place)
        packed = {**row, "ids": [*start, *row["ids"][:room], *end]}
        if "starts" in row:
            packed["starts"] = [*[0] * len(start), *row["starts"][:room], *[0] * len(end)]
        if self.mask and self.mask["id"] not in packed["ids"]:
            token, length = self.mask["token"], self.source["length"]
            _refuse(f"A text must have a {token} within its first {length} tokens", "none", place)
        return packed


def _check(text, place: int) -> str:
    if not isinstance(text, str) or not text.strip():
        _refuse("A text must be a string with at least one symbol", repr(text), place)
    return text


def _refuse(rule: str, received: str, place: int):
    raise ValueError(f"{rule}. Received: {received} at position {place}")

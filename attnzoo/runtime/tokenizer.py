"""A tokenizer from its JSON description: a text to token ids, and ids to a text.

All kinds are the same five steps, which the description fills in: rules for the whole text, words,
rules for each word, segments of a word, and rules for the text of ids.
"""

import functools
import re
import unicodedata


class Tokenizer:
    """A tokenizer.

    Args:
        description: dict, as `attnzoo.export.description` writes it.
    """

    def __init__(self, description: dict):
        self.description = description
        self.tokens: list[str] = description["vocabulary"]
        self.unknown: int | None = description["unknown"]
        reserved = set(description["reserved"])
        self.ids = {one: id for id, one in enumerate(self.tokens) if id not in reserved}
        special = "|".join(map(re.escape, description["special"])) or "(?!)"
        self._special = re.compile(f"({special})")
        self._words = re.compile(description["words"])
        self._rules = {name: _make_rules(description[name]) for name in ("text", "word", "output")}
        self._surfaces = {int(id): text for id, text in description.get("surfaces", {}).items()}
        self._segment = lambda word: [self.ids.get(word, self.unknown)]
        if description["segments"] != "whole":
            from .subwords import make_segmenter  # Other models need none.

            self._segment = make_segmenter(self)

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        ids: list[int] = []
        for number, part in enumerate(self._special.split(self._apply("text", text))):
            if number % 2:  # Between the parts stand special tokens.
                ids.append(self.ids[part])
                continue
            for word in self._words.findall(part):
                ids += self._segment(self._apply("word", word))
        if self.description.get("joins_unknown"):  # A run of unknown tokens is one.
            return [id for n, id in enumerate(ids) if not (n and id == ids[n - 1] == self.unknown)]
        return ids

    def detokenize(self, ids) -> str:
        """Return the text of ids, without start, end and padding."""
        texts = [self._surfaces.get(id, self.tokens[id]) for id in ids]
        return self._apply("output", self.description["separator"].join(texts))

    def _apply(self, name, text):
        for rule in self._rules[name]:
            text = rule(text)
        return text


def _make_rules(rules):
    """Return functions of a text: named ones, replacements, and tries."""
    made = []
    for rule in rules:
        if isinstance(rule, dict):
            from .subwords import Trie

            made.append(Trie(rule["trie"]).replace)
        elif isinstance(rule, list):
            made.append(functools.partial(re.compile(rule[0]).sub, rule[1]))
        else:
            made.append(_NAMED[rule])
    return made


_NAMED = {
    "lower": str.lower,
    "casefold": str.casefold,
    "NFD": lambda text: unicodedata.normalize("NFD", text),
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "to_bytes": lambda text: text.encode("utf-8").decode("latin-1"),  # One character a byte.
    "from_bytes": lambda text: text.encode("latin-1").decode("utf-8", errors="replace"),
}

"""The vocabulary of a tokenizer: tokens, their ids, and the file that stores them."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[START]", "[END]")
VOCABULARY_FILE = "vocabulary.json"


class Vocabulary:
    """Mapping of tokens to ids and back; a plain object, so that Keras does not wrap its
    attributes.

    Args:
        tokens: The special tokens, then symbols, in the order of ids.
        check_symbol: Raises ValueError for a symbol that cannot occur in text.

    Raises:
        ValueError: If a special token is missing or misplaced, a symbol is repeated, or
            `check_symbol` raises.
    """

    def __init__(self, tokens: Iterable[str], check_symbol: Callable[[str], None]) -> None:
        if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
            raise ValueError(
                f"`vocabulary` must be a list of strings. Received: vocabulary={tokens!r}"
            )
        tokens = list(tokens)
        if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
            raise ValueError(
                f"`vocabulary` must start with {list(SPECIAL_TOKENS)}. "
                f"Received: {tokens[: len(SPECIAL_TOKENS)]}"
            )
        for symbol in tokens[len(SPECIAL_TOKENS) :]:
            if not isinstance(symbol, str):
                raise ValueError(f"`vocabulary` must hold strings. Received: {symbol!r}")
            check_symbol(symbol)
        if len(set(tokens)) < len(tokens):
            repeated = [token for token, count in Counter(tokens).items() if count > 1]
            raise ValueError(f"`vocabulary` must not repeat a symbol. Received twice: {repeated}")
        self.tokens = tuple(tokens)
        self.ids = {token: id for id, token in enumerate(tokens)}
        # Text is never looked up as a special token.
        self.symbol_ids = dict(list(self.ids.items())[len(SPECIAL_TOKENS) :])
        self.hidden_ids = {self.ids[token] for token in SPECIAL_TOKENS if token != "[UNK]"}


def count_symbols(
    texts: Iterable[str],
    split: Callable[[str], Iterable[str]],
    *,
    min_count: int = 1,
    max_size: int | None = None,
) -> list[str]:
    """Return the tokens of a vocabulary: the special ones, then the symbols of texts.

    The most frequent symbol comes first; of two equally frequent ones, the one with the smaller
    code point.

    Args:
        texts: Strings, read once.
        split: Splits a text into symbols.
        min_count: Smallest number of occurrences of a symbol in the vocabulary. At least 1.
        max_size: Largest number of tokens, with the special ones. More than 4, or `None` for no
            limit.

    Raises:
        ValueError: If `texts` is one string or holds no symbol, or a number is out of range.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"`texts` must be several strings. Received: texts={texts!r}")
    if min_count < 1:
        raise ValueError(f"`min_count` must be at least 1. Received: min_count={min_count}")
    if max_size is not None and max_size <= len(SPECIAL_TOKENS):
        raise ValueError(
            f"`max_size` must be more than {len(SPECIAL_TOKENS)}, the special tokens. "
            f"Received: max_size={max_size}"
        )
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text))
    for token in SPECIAL_TOKENS:
        counts.pop(token, None)
    symbols = [symbol for symbol, count in counts.items() if count >= min_count]
    if not symbols:
        raise ValueError(
            "`texts` must hold at least one symbol that occurs `min_count` times. "
            f"Received: {len(counts)} symbols, min_count={min_count}"
        )
    symbols.sort(key=lambda symbol: (-counts[symbol], symbol))
    return [*SPECIAL_TOKENS, *symbols][:max_size]


def save_vocabulary(tokens: list[str], dir_path: str) -> None:
    """Write tokens to the vocabulary file in a directory."""
    with open(os.path.join(dir_path, VOCABULARY_FILE), "w", encoding="utf-8") as file:
        json.dump(tokens, file, ensure_ascii=False, indent=0)


def load_vocabulary(dir_path: str, accept: Callable[[list[str]], None]) -> None:
    """Pass the tokens in the vocabulary file of a directory to `accept`.

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If it holds no list, or `accept` raises ValueError.
    """
    path = os.path.join(dir_path, VOCABULARY_FILE)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"A tokenizer needs its vocabulary file. Not found: {path}")
    try:
        with open(path, encoding="utf-8") as file:
            tokens = json.load(file)
        if not isinstance(tokens, list):
            raise ValueError(f"It must hold a list. Received: {tokens!r}")
        accept(tokens)
    except ValueError as error:  # JSON and UTF-8 errors are ValueErrors too.
        raise ValueError(f"Cannot read a vocabulary from {path}: {error}") from error

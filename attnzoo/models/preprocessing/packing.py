"""Special tokens of any tokenizer, conversion to lists, and the padded lengths of batches."""

import threading

import numpy as np

from attnzoo.data.tokenizers import SymbolTokenizer

# Batches are padded to multiples of this, so that few lengths are compiled.
LENGTH_STEP = 8

_SPELLINGS = {
    "start_token_id": ("[START]", "[BOS]", "<s>", "[CLS]"),
    "end_token_id": ("[END]", "[EOS]", "</s>", "[SEP]"),
    "pad_token_id": ("[PAD]", "<pad>"),
}


# A tokenizer without a vocabulary, to split at white space in Python and in a graph.
SPLITTER = SymbolTokenizer(name="words")

# Held while a preprocessor is built at its first use, which several threads may start at once.
BUILDING = threading.RLock()


def find_special_tokens(tokenizer):
    """Set a tokenizer's special ids as attributes; any KerasHub tokenizer is possible.

    Raises:
        ValueError: If the tokenizer has neither the attribute nor a usual spelling of the token.
    """
    for attribute, spellings in _SPELLINGS.items():
        if getattr(tokenizer, attribute, None) is not None:
            continue
        vocabulary = set(tokenizer.get_vocabulary())
        found = [token for token in spellings if token in vocabulary]
        if not found:
            raise ValueError(
                f"A tokenizer needs the attribute `{attribute}` or one of {spellings} in its "
                f"vocabulary. Received: tokenizer={tokenizer!r}"
            )
        setattr(tokenizer, attribute, tokenizer.token_to_id(found[0]))
    if not tokenizer.built:
        tokenizer.build(None)


def need_some(kind: str, items):
    """Raise if `items` is empty; `kind` names one item in the message."""
    if not len(items):
        raise ValueError(f"There must be at least one {kind}. Received: none")


def as_lists(value):
    """Return tensors, ragged or dense, and arrays as Python lists."""
    if hasattr(value, "to_list"):
        return value.to_list()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.tolist() if hasattr(value, "tolist") else value


def tokenize_rows(tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the ids of texts as lists, for any tokenizer, outside of graphs."""
    rows = as_lists(tokenizer(texts))
    return [np.asarray(as_lists(row)).astype(int).tolist() for row in rows]


def lengths_up_to(limit: int) -> list[int]:
    """Return the padded lengths of batches: multiples of 8 up to 64, then in steps of a fifth.

    Example:
        >>> lengths_up_to(100)
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 100]
    """
    lengths, length = [], 0
    while length < limit:
        length += max(LENGTH_STEP, 2 ** (length.bit_length() - 3))
        lengths.append(min(length, limit))
    return lengths


def fit_length(longest: int, limit: int) -> int:
    """Return the first of these lengths that holds `longest` tokens, but at most the limit."""
    return next((length for length in lengths_up_to(limit) if length >= longest), limit)


def check_table(backbone, whose: str = "The preprocessor's ", **lengths):
    """Raise if a sequence could be longer than the table of a learned position.

    Args:
        backbone: The backbone; one with a `position` also has a `max_length`.
        whose: Text of the message before the name of a length.
        **lengths: The largest lengths of sequences, in tokens, by the names of arguments.
    """
    learned = getattr(backbone, "position", None) == "learned"
    for name, length in lengths.items():
        if learned and length > backbone.max_length:
            raise ValueError(
                f"{whose}`{name}` must be at most the `max_length` of a learned position, "
                f"{backbone.max_length}. Received: {name}={length}"
            )

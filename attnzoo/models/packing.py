"""What preprocessors share: special tokens of any tokenizer, texts in plain lists, lengths."""

import numpy as np

# Batches are padded to a multiple of this, so that few lengths have to be compiled.
LENGTH_STEP = 8

_SPELLINGS = {
    "start_token_id": ("[START]", "[BOS]", "<s>", "[CLS]"),
    "end_token_id": ("[END]", "[EOS]", "</s>", "[SEP]"),
    "pad_token_id": ("[PAD]", "<pad>"),
}


def find_special_tokens(tokenizer):
    """See that a tokenizer has its special ids as attributes; any KerasHub tokenizer will do.

    Raises:
        ValueError: If it has neither the attribute nor a usual spelling of the token.
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


def refuse_empty(texts, kind: str = "text"):
    """Raise a ValueError on an empty text, where the strings can be seen."""
    if is_symbolic_tensorflow(texts):
        return
    texts = np.atleast_1d(np.asarray(as_lists(texts), dtype=object)).ravel()
    for position, text in enumerate(texts):
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        if not str(text).strip():
            raise ValueError(
                f"A {kind} must have at least one symbol. Received: {text!r} at position {position}"
            )


def is_symbolic_tensorflow(value) -> bool:
    """Whether `value` is a TensorFlow tensor inside a traced function."""
    return type(value).__module__.startswith("tensorflow") and not hasattr(value, "numpy")


def as_lists(value):
    """Tensors, ragged or dense, and arrays as Python lists."""
    if hasattr(value, "to_list"):
        return value.to_list()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.tolist() if hasattr(value, "tolist") else value


def lengths_up_to(limit: int) -> list[int]:
    """The few lengths that batches are padded to: multiples of 8 up to 64, then a fifth apart.

    Example:
        >>> lengths_up_to(100)
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 100]
    """
    lengths, length = [], 0
    while length < limit:
        length += max(LENGTH_STEP, 2 ** (length.bit_length() - 3))
        lengths.append(min(length, limit))
    return lengths

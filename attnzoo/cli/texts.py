"""Texts on their way to a model and back: what it does not know of them, and inflections."""

import sys

import keras

_UNKNOWN = ("[UNK]", "<unk>")


def spell(symbols: str) -> str:
    """The text that `attnzoo.data.read_inflections` took apart."""
    return symbols.replace(" ", "").replace("▁", " ")


def tell_unknown(task: keras.Model, texts: list[str], command: str) -> bool:
    """Say on standard error where a model does not know symbols of its texts.

    Args:
        task: A task; one that copies symbols of its source knows all.
        texts: What it is about to read.
        command: The command's name.

    Returns:
        Whether there are such symbols.
    """
    preprocessor = getattr(task, "preprocessor", None)
    if preprocessor is None or getattr(preprocessor, "pointer_generator", False):
        return False
    tokenizer = getattr(preprocessor, "source_tokenizer", preprocessor.tokenizer)
    if hasattr(task, "fill"):  # What is to be filled in is no symbol of the text.
        texts = [text.replace("[MASK]", "") for text in texts]
    if hasattr(task, "answer"):  # Nor is what separates a question from its context.
        texts = [part for text in texts for part in text.split("\t")]
    has_unknown = _looks_for_unknown(tokenizer)
    unknown = [text for text, has in zip(texts, has_unknown(texts), strict=True) if has]
    if not unknown:
        return False
    lower = [text.lower() for text in unknown]
    cure = "" if any(has_unknown(lower)) else "; in lower case it knows them"
    print(
        f"attnzoo {command}: the model does not know all symbols of {len(unknown)} of "
        f"{len(texts)} texts, such as {unknown[0]!r}, and reads [UNK] in their place{cure}.",
        file=sys.stderr,
        flush=True,
    )
    return True


def _looks_for_unknown(tokenizer):
    """A function from texts to whether there is an unknown symbol in each."""
    vocabulary = set(tokenizer.get_vocabulary())
    ids = {tokenizer.token_to_id(token) for token in _UNKNOWN if token in vocabulary}

    def has_unknown(texts):
        rows = tokenizer(texts)
        rows = rows.to_list() if hasattr(rows, "to_list") else rows  # A tf.RaggedTensor
        return [not ids.isdisjoint(map(int, row)) for row in rows]

    return has_unknown

"""Texts for a model and from a model: unknown symbols, and inflections."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


_UNKNOWN = ("[UNK]", "<unk>")


def join_symbols(symbols: str) -> str:
    """Return the text for symbols that `attnzoo.data.read_inflections` separated."""
    return symbols.replace(" ", "").replace("▁", " ")


def captions_pictures(task: "keras.Model") -> bool:
    """Return whether the sources of a task are pictures."""
    return getattr(getattr(task, "preprocessor", None), "source_key", None) == "images"


def split_inflection(text: str) -> tuple[str, str]:
    """Return lemma and tags of a text, which a tab or the last space separates.

    Raises:
        ValueError: If there is no tab and no space.
    """
    lemma, _, tags = text.partition("\t") if "\t" in text else text.rpartition(" ")
    if not (lemma.strip() and tags.strip()):
        raise ValueError(
            f"A text to inflect must be a lemma, a space or a tab, and its tags. Received: {text!r}"
        )
    return lemma.strip(), tags.strip()


def warn_unknown(task: "keras.Model", texts: list[str], command: str) -> bool:
    """Warn on standard error about texts with symbols that a model does not know.

    Args:
        task: A task; a task that copies symbols of its source knows all symbols, and one whose
            sources are no texts reads none.
        texts: The task's input texts.
        command: The command's name.

    Returns:
        Whether there are such symbols.
    """
    preprocessor = getattr(task, "preprocessor", None)
    if preprocessor is None or getattr(preprocessor, "pointer_generator", False):
        return False
    if captions_pictures(task):
        return False
    tokenizer = getattr(preprocessor, "source_tokenizer", preprocessor.tokenizer)
    if hasattr(task, "fill"):  # A mask is not a symbol of the text.
        texts = [text.replace("[MASK]", "") for text in texts]
    if hasattr(task, "answer"):  # Nor is the tab between question and context.
        texts = [part for text in texts for part in text.split("\t")]
    has_unknown = _make_unknown_check(tokenizer)
    unknown = [text for text, has in zip(texts, has_unknown(texts), strict=True) if has]
    if not unknown:
        return False
    lower = [text.lower() for text in unknown]
    cure = "" if any(has_unknown(lower)) else "; in lower case it knows them"
    print(
        f"attnzoo {command}: the model does not know all symbols of {len(unknown)} of "
        f"{len(texts)} texts, such as {_example(tokenizer, unknown[0])}, and reads [UNK] in their "
        f"place{cure}.",
        file=sys.stderr,
        flush=True,
    )
    return True


def _example(tokenizer, text):
    """Return a text with its first unknown symbol, where the tokenizer has symbols."""
    if not hasattr(tokenizer, "symbols"):
        return repr(text)
    pairs = zip(tokenizer.symbols(text), tokenizer(text), strict=True)
    return f"{next(symbol for symbol, id in pairs if id == tokenizer.unk_token_id)!r} in {text!r}"


def _make_unknown_check(tokenizer):
    """Return a function of texts to whether each has an unknown symbol."""
    vocabulary = set(tokenizer.get_vocabulary())
    ids = {tokenizer.token_to_id(token) for token in _UNKNOWN if token in vocabulary}

    def has_unknown(texts):
        rows = tokenizer(texts)
        rows = rows.to_list() if hasattr(rows, "to_list") else rows  # A tf.RaggedTensor
        return [not ids.isdisjoint(map(int, row)) for row in rows]

    return has_unknown

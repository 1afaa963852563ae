"""Checks of inputs: texts, token ids, and datasets of batches."""

import keras
import numpy as np
from keras import ops

from attnzoo.models.preprocessing.packing import as_lists, need_some


def as_texts(texts, kind: str = "text", *, may_be_blank: bool = False) -> list[str]:
    """Return texts as a list of strings; raise if they are invalid.

    Every method that takes texts calls this before it tokenizes or trains.

    Args:
        texts: A list, tuple, array, eager tensor or other iterable of strings, or of UTF-8 bytes.
        kind: The name of a text in messages: `"text"`, `"source"`, `"target"`, `"question"`, ...
        may_be_blank: Whether a text may be empty or only white space.

    Raises:
        ValueError: If `texts` is no list or is empty; if a text is not a string (None, NaN, a
            number, a list), cannot be encoded as UTF-8 (half a surrogate pair), or is blank.
    """
    plain = as_lists(texts)
    if isinstance(plain, (str, bytes, dict)) or is_dataset(plain) or not hasattr(plain, "__iter__"):
        received = repr(texts) if plain is None or isinstance(plain, (str, bytes)) else None
        received = received or f"{_short(plain)} of type {type(texts).__name__}"
        raise ValueError(
            f"{kind.capitalize()}s must be in a list, one or more. Received: {received}"
        )
    plain = list(plain)
    need_some(kind, plain)
    return [_as_text(one, kind, place, may_be_blank) for place, one in enumerate(plain)]


def _as_text(text, kind, position, may_be_blank) -> str:
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        known = isinstance(text, str) and (text.isascii() or bool(text.encode("utf-8")))
    except UnicodeError:
        known = False
    received = f"Received: {_short(text)} at position {position}"
    if not known:
        raise ValueError(f"A {kind} must be a string that can be written as UTF-8. {received}")
    if not (may_be_blank or text.strip()):
        raise ValueError(f"A {kind} must have at least one symbol. {received}")
    return str(text)


def need_as_many(**two):
    """Raise unless the two arguments, passed by name, have the same length."""
    (name, items), (other, belonging) = two.items()
    if len(items) != len(belonging):
        raise ValueError(
            f"There must be as many {other} as {name}. "
            f"Received: {len(items)} {name}, {len(belonging)} {other}"
        )


def check_ids(inputs, sizes: dict, *, kind: str = "text"):
    """Raise unless `inputs` are valid inputs of a model without a preprocessor.

    Args:
        inputs: Should be a dict of arrays, each [B, ...] with the same B.
        sizes: For each required name the size of the vocabulary if it holds ids [B, S], else None.
        kind: The name of a row in messages.

    Raises:
        ValueError: If `inputs` is no dict of these names, there are no rows, arrays differ in their
            number of rows, ids are not of rank 2, or an id is no whole number or outside the
            vocabulary.
    """
    names = list(sizes)
    if not isinstance(inputs, dict) or any(inputs.get(name) is None for name in names):
        received = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            "Without a preprocessor a task reads token ids and masks, a dict of arrays: "
            f"{', '.join(map(repr, names))}. Received: {received}"
        )
    rows = {}
    for name, size in sizes.items():
        values = _as_array(name, inputs[name])
        if size is not None:
            _check_vocabulary(name, values, size)
        rows[name] = len(values)
    need_some(kind, range(rows[names[0]]))
    if len(set(rows.values())) > 1:
        raise ValueError(f"All inputs must have as many rows. Received: {rows}")


def _as_array(name, value):
    try:
        value = np.asarray(
            as_lists(value) if hasattr(value, "to_list") else ops.convert_to_numpy(value)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be an array, its rows of one length: {error}") from error
    if value.ndim < 2 or value.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must be an array of numbers, [B, S]. "
            f"Received: shape {value.shape}, dtype {value.dtype}"
        )
    return value


def _check_vocabulary(name, ids, size):
    """Raise if an id has no embedding: backends differ in their results for such an id."""
    outside = ids[~((ids >= 0) & (ids < size) & (ids == np.floor(ids)))]
    if outside.size:
        raise ValueError(
            f"`{name}` must be ids of the vocabulary, in [0, {size}). Received: {outside[0]}"
        )


def is_dataset(value) -> bool:
    """Return whether a value is a dataset of `tf.data` or of grain, or a `PyDataset`."""
    return isinstance(value, keras.utils.PyDataset) or (
        hasattr(value, "map") and hasattr(value, "batch")
    )


def check_batched(dataset):
    """Raise if the elements of a `tf.data.Dataset` are not batches.

    Raises:
        ValueError: If an element is a scalar.
    """
    for spec in keras.tree.flatten(getattr(dataset, "element_spec", None)):
        shape = getattr(spec, "shape", None)
        if shape is not None and shape.rank == 0:
            raise ValueError(
                "A dataset must have batches: use `dataset.batch(...)`. "
                f"Received: elements of {spec}"
            )


def _short(value) -> str:
    """Return a value for a message, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."

"""Checks of inputs: texts, token ids, datasets of batches; else one clear error."""

import keras
import numpy as np
from keras import ops

from attnzoo.models.preprocessing.packing import as_lists, need_some


def as_texts(texts, kind: str = "text", *, may_be_blank: bool = False) -> list[str]:
    """Return texts as a list of strings, or raise what there is to say against them.

    Every method that takes texts goes through this before it tokenizes or trains.

    Args:
        texts: A list, tuple, array, eager tensor or other iterable of strings, or of bytes in
            UTF-8.
        kind: What one of them is called: `"text"`, `"source"`, `"target"`, `"question"`, ...
        may_be_blank: Whether one may be empty, or white space alone.

    Raises:
        ValueError: If there is no list, or nothing in it; if one of them is no string (None, NaN, a
            number, a list), cannot be written as UTF-8 (half a surrogate pair), or is blank.
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
    """Raise unless there is one of the second for each of the first; they come by their names."""
    (name, items), (other, belonging) = two.items()
    if len(items) != len(belonging):
        raise ValueError(
            f"There must be as many {other} as {name}. "
            f"Received: {len(items)} {name}, {len(belonging)} {other}"
        )


def check_ids(inputs, sizes: dict, *, kind: str = "text"):
    """Raise unless these are the inputs of a model that has no preprocessor.

    Args:
        inputs: What should be a dict of arrays, each [B, ...] with the same B.
        sizes: The names that must be there. For ids [B, S] how many there are; for others None.
        kind: What a row is called.

    Raises:
        ValueError: If it is no dict of these names, there is no row, rows differ in number, ids are
            not in rows, or one of them is no whole number or outside of the vocabulary.
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
    """Raise on an id that no embedding has: backends differ in what they would make of it."""
    outside = ids[~((ids >= 0) & (ids < size) & (ids == np.floor(ids)))]
    if outside.size:
        raise ValueError(
            f"`{name}` must be ids of the vocabulary, in [0, {size}). Received: {outside[0]}"
        )


def is_dataset(value) -> bool:
    """Whether it gives batches: a dataset of `tf.data` or of grain, or a `PyDataset`."""
    return isinstance(value, keras.utils.PyDataset) or (
        hasattr(value, "map") and hasattr(value, "batch")
    )


def check_batched(dataset):
    """Raise if a `tf.data.Dataset` has elements that are no batches.

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
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."

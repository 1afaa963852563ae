"""From samples, which are no dataset yet, to one of batches."""

import math
import numbers

import keras
import numpy as np
from keras import ops

from attnzoo.models.preprocessing.input_checks import as_texts, is_dataset, need_as_many
from attnzoo.models.preprocessing.packing import as_lists


def is_samples(x) -> bool:
    """Whether these are strings, arrays or other sequences, not a dataset of batches."""
    if isinstance(x, (str, bytes, dict)) or hasattr(x, "dtype"):
        return True
    return hasattr(x, "__len__") and hasattr(x, "__getitem__") and not is_dataset(x)


def as_strings(kind: str, texts, **options):
    """Texts as an array of objects [B]; as in `as_texts`, which finds what is wrong with them."""
    return np.asarray(as_texts(texts, kind, **options), dtype=object)


def need_targets(name: str, x, y):
    """Raise where samples come without targets; `name` is what these are called, in the plural."""
    if y is None:
        raise ValueError(
            f"{name} must come with what is to be learned or measured: `y`, one for each text, or "
            f"a dataset of both. Received: x of type {type(x).__name__}, y=None"
        )


def need_batches(name, data):
    """Raise unless these are batches that a task knows how to read."""
    if not is_dataset(data):
        raise ValueError(
            f"`{name}` must be samples, a `tf.data.Dataset` of batches of samples, or a "
            "`keras.utils.PyDataset` of batches of token ids, as `attnzoo.data` has them. "
            f"Received: {name} of type {type(data).__name__}"
        )


def need_no_samples(name, data, **arguments):
    """Raise where something is said of samples that come as a dataset."""
    given = [argument for argument, value in arguments.items() if value is not None]
    if given:
        raise ValueError(
            f"Where `{name}` is a dataset, its batches have all that belongs to the samples: "
            f"{', '.join(f'`{one}`' for one in arguments)} must be None. "
            f"Received: {given[0]} with {name} of type {type(data).__name__}"
        )


def need_weights(x, sample_weight):
    """Raise where there are weights, and not a finite number, or some, for each sample."""
    if sample_weight is not None:
        need_numbers("weight", sample_weight)
        samples = next(iter(x.values()), None) if isinstance(x, dict) else x
        if hasattr(samples, "__len__"):
            need_as_many(samples=samples, weights=sample_weight)


def need_numbers(kind: str, values):
    """Raise unless these are finite numbers, or rows of such; `kind` is what one is called."""
    values = as_lists(values)
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"{kind.capitalize()}s must be in a list. Received: {values!r}")
    for position, value in enumerate(values):
        for one in keras.tree.flatten(as_lists(value)):
            if not isinstance(one, numbers.Real) or not math.isfinite(one):
                raise ValueError(
                    f"A {kind} must be a finite number. Received: {one!r} at position {position}"
                )


def weights_of_ids(class_weight, count: int, id_of=None):
    """The weights of all classes, float32 [C], from a dict of some of them; others have 1.

    Args:
        class_weight: Numbers, by class.
        count: C.
        id_of: Function that makes the id of a class, or raises, if it may be a name too.
    """
    if not isinstance(class_weight, dict):
        raise ValueError(
            "`class_weight` must be a dict from classes to their weights. "
            f"Received: class_weight={class_weight!r}"
        )
    weights = np.ones(count, "float32")
    for name, weight in class_weight.items():
        try:
            need_numbers("weight", [weight])
            place = _as_id(name, count) if id_of is None else id_of(name)
        except ValueError as error:
            raise ValueError(f"In `class_weight`, of class {name!r}: {error}") from error
        weights[place] = weight
    return weights


def _as_id(name, count: int) -> int:
    if not isinstance(name, numbers.Integral) or not 0 <= int(name) < count:
        raise ValueError(f"A class must be a token id, in [0, {count}). Received: {name!r}")
    return int(name)


def split_samples(samples, fraction):
    """The first samples, and the last ones, which are that part of all."""
    first = samples[0]
    count = len(next(iter(first.values())) if isinstance(first, dict) else first)
    kept = int(count * (1.0 - fraction))
    if not 0 < kept < count:
        raise ValueError(
            "`validation_split` must leave samples on both sides. "
            f"Received: validation_split={fraction} of {count} samples"
        )
    parts = slice(0, kept), slice(kept, None)
    return tuple(tuple(_rows(one, part) for one in samples) for part in parts)


def _rows(samples, rows):
    """Some rows of samples: of lists or arrays, or of each in a dict."""
    if isinstance(samples, dict):
        return {name: value[rows] for name, value in samples.items()}
    return None if samples is None else samples[rows]


def make_dataset(samples, batch_size, shuffle):
    """Batches of samples, x, y and weights, as a `tf.data.Dataset`; 32 if `batch_size` is None.

    Where it shuffles, each time is in another order.
    """
    import tensorflow as tf

    def convert(sample):
        if isinstance(sample, dict):
            return {name: convert(value) for name, value in sample.items()}
        if isinstance(sample, list) and _is_ragged(sample):
            return tf.ragged.constant(sample, dtype=tf.int32, ragged_rank=1)
        if isinstance(sample, list):
            return np.asarray(sample)
        if isinstance(sample, np.ndarray) and sample.dtype.kind == "O":
            return tf.constant(sample.tolist(), tf.string)
        return ops.convert_to_numpy(sample)

    samples = tuple(convert(one) for one in samples if one is not None)
    dataset = tf.data.Dataset.from_tensor_slices(samples)
    if shuffle:
        dataset = dataset.shuffle(len(dataset))
    return dataset.batch(batch_size or 32)


def _is_ragged(rows: list) -> bool:
    """Whether these are lists that differ in length."""
    return all(isinstance(row, list) for row in rows) and len({len(row) for row in rows}) > 1

"""Samples that are not in a dataset: checks, splits, and conversion to a dataset of batches."""

import math
import numbers

import keras
import numpy as np
from keras import ops

from attnzoo.models.preprocessing.input_checks import as_texts, is_dataset, need_as_many
from attnzoo.models.preprocessing.packing import as_lists


def is_samples(x) -> bool:
    """Return whether `x` holds strings, arrays or other sequences and is not a dataset."""
    if isinstance(x, (str, bytes, dict)) or hasattr(x, "dtype"):
        return True
    return hasattr(x, "__len__") and hasattr(x, "__getitem__") and not is_dataset(x)


def as_strings(kind: str, texts, **options):
    """Return texts as an array of objects [B]; raise as in `as_texts` if they are invalid."""
    return np.asarray(as_texts(texts, kind, **options), dtype=object)


def need_targets(name: str, x, y):
    """Raise if samples have no targets; `name` is the plural name of targets in the message."""
    if y is None:
        raise ValueError(
            f"{name} must come with what is to be learned or measured: `y`, one for each text, or "
            f"a dataset of both. Received: x of type {type(x).__name__}, y=None"
        )


def need_batches(name, data):
    """Raise unless the data are batches of a type that a task supports."""
    if not is_dataset(data):
        raise ValueError(
            f"`{name}` must be samples, a `tf.data.Dataset` of batches of samples, or a "
            "`keras.utils.PyDataset` of batches of token ids, as `attnzoo.data` has them. "
            f"Received: {name} of type {type(data).__name__}"
        )


def need_no_samples(name, data, **arguments):
    """Raise if arguments about samples are given together with a dataset."""
    given = [argument for argument, value in arguments.items() if value is not None]
    if given:
        raise ValueError(
            f"Where `{name}` is a dataset, its batches have all that belongs to the samples: "
            f"{', '.join(f'`{one}`' for one in arguments)} must be None. "
            f"Received: {given[0]} with {name} of type {type(data).__name__}"
        )


def need_weights(x, sample_weight):
    """Raise if there are weights, and not one or several finite numbers for each sample."""
    if sample_weight is not None:
        need_numbers("weight", sample_weight)
        samples = next(iter(x.values()), None) if isinstance(x, dict) else x
        if hasattr(samples, "__len__"):
            need_as_many(samples=samples, weights=sample_weight)


def need_numbers(kind: str, values):
    """Raise unless the values are finite numbers, or rows of them; `kind` names one value."""
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
    """Return the weights of all classes, float32 [C], from a dict of some; others have 1.

    Args:
        class_weight: Weights by class.
        count: C.
        id_of: Function of a class, a name or an id, to its id; it raises for an unknown class. None
            if classes are ids.
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
    """Return the first samples, and the last ones, which are `fraction` of all."""
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
    """Return some rows of samples: of lists or arrays, or of each value in a dict."""
    if isinstance(samples, dict):
        return {name: value[rows] for name, value in samples.items()}
    return None if samples is None else samples[rows]


def make_dataset(samples, batch_size, shuffle):
    """Return a `tf.data.Dataset` of batches of x, y and weights; `batch_size` None is 32.

    With `shuffle` each iteration has another order.
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
    """Return whether rows are lists of different lengths."""
    return all(isinstance(row, list) for row in rows) and len({len(row) for row in rows}) > 1

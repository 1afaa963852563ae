"""From samples, which are no dataset yet, to one of batches."""

import keras
import numpy as np
from keras import ops

from attnzoo.models.packing import as_lists, need_some


def is_samples(x) -> bool:
    """Whether these are strings, arrays or other sequences, not a dataset of batches."""
    if isinstance(x, (str, bytes, dict)) or hasattr(x, "dtype"):
        return True
    sequence = hasattr(x, "__len__") and hasattr(x, "__getitem__")
    return sequence and not isinstance(x, keras.utils.PyDataset) and not hasattr(x, "map")


def as_strings(name: str, texts):
    """Texts as an array of objects [B]; `name` is what they are called, in the plural."""
    if texts is None or isinstance(texts, (str, bytes)):
        raise ValueError(f"{name} must be in a list, one or more. Received: {texts!r}")
    texts = texts if hasattr(texts, "dtype") else list(texts)
    texts = np.asarray(as_lists(texts), dtype=object)
    need_some("text", texts)
    return texts


def need_targets(name: str, x, y):
    """Raise where samples come without targets; `name` is what these are called, in the plural."""
    if y is None:
        raise ValueError(
            f"{name} must come with what is to be learned or measured: `y`, one for each text, or "
            f"a dataset of both. Received: x of type {type(x).__name__}, y=None"
        )


def need_as_many(**two):
    """Raise unless there is one of the second for each of the first; they come by their names."""
    (name, items), (other, belonging) = two.items()
    if len(items) != len(belonging):
        raise ValueError(
            f"There must be as many {other} as {name}. "
            f"Received: {len(items)} {name}, {len(belonging)} {other}"
        )


def need_batches(name, data):
    """Raise unless these are batches that a task knows how to read."""
    if not (isinstance(data, keras.utils.PyDataset) or hasattr(data, "map")):
        raise ValueError(
            f"`{name}` must be samples, a `tf.data.Dataset` of batches of samples, or a "
            "`keras.utils.PyDataset` of batches of token ids, as `attnzoo.data` has them. "
            f"Received: {name} of type {type(data).__name__}"
        )


def need_weights(x, sample_weight):
    """Raise where there are weights, and not one for each sample."""
    if sample_weight is not None:
        samples = next(iter(x.values())) if isinstance(x, dict) else x
        need_as_many(samples=samples, weights=sample_weight)


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

"""From samples, which are no dataset yet, to one of batches."""

import numpy as np
from keras import ops


def is_samples(x) -> bool:
    """Whether these are strings or arrays, not a dataset of batches."""
    return isinstance(x, (str, bytes, list, tuple, dict)) or hasattr(x, "dtype")


def need_targets(name: str, x, y):
    """Raise where samples come without targets; `name` is what these are called, in the plural."""
    if y is None:
        raise ValueError(
            f"{name} must come with what is to be learned or measured: `y`, one for each text, or "
            f"a dataset of both. Received: x of type {type(x).__name__}, y=None"
        )


def need_as_many(name: str, texts, targets):
    """Raise unless there is one target for each text; `name` is what they are called."""
    if len(texts) != len(targets):
        raise ValueError(
            f"There must be as many {name} as texts. "
            f"Received: {len(texts)} texts, {len(targets)} {name}"
        )


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
        if isinstance(sample, list) and sample and isinstance(sample[0], list):
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

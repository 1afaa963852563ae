"""Batch sizes: batches are padded to a few sizes, each of which is compiled once."""

import math
import warnings

import keras
import numpy as np
from keras import ops

from attnzoo.checks import check_positive


def size_for(count: int) -> int:
    """Return the batch size for `count` rows: a power of two, or from 16 on also 3/2 of one.

    Example:
        >>> [size_for(count) for count in (1, 3, 5, 12, 17, 33, 64)]
        [1, 4, 8, 16, 24, 48, 64]
    """
    power = 2 ** (count - 1).bit_length()
    return 3 * power // 4 if power > 16 and count <= 3 * power // 4 else power


def size_within(limit: int) -> int:
    """Return the largest batch size that is at most `limit`."""
    power = 2 ** (limit.bit_length() - 1)
    return 3 * power // 2 if power >= 16 and 3 * power // 2 <= limit else power


def split_rows(count: int, batch_size: int) -> list[slice]:
    """Return slices of at most `batch_size` rows; all but the last have one of these sizes."""
    check_positive(batch_size=batch_size)
    devices = count_devices()
    rows = devices * size_within(max(1, batch_size // devices))
    return [slice(start, start + rows) for start in range(0, count, rows)]


def fill_rows(inputs: dict) -> dict:
    """Repeat the last row of arrays [B, ...] up to one of these batch sizes.

    A copied row needs no more decoding steps than its original, and no other row depends on it. On
    torch nothing is compiled, so nothing is padded.
    """
    devices = count_devices()
    if keras.backend.backend() == "torch" and devices == 1:
        return inputs
    count = len(next(iter(inputs.values())))
    missing = devices * size_for(math.ceil(count / devices)) - count
    if not missing:
        return inputs
    return {name: _fill(rows, missing) for name, rows in inputs.items()}


def fill_samples(samples, batch_size: int):
    """Repeat the last sample until all samples fill batches of one size.

    Args:
        samples: A list, or a dict of lists or arrays.
        batch_size: Largest number of samples in a batch. At least 1.

    Returns:
        The samples, the number of samples in a batch, and the original number of samples.
    """
    columns = samples if isinstance(samples, dict) else {"": samples}
    count = len(next(iter(columns.values())))
    batches = len(split_rows(count, batch_size))
    devices = count_devices()
    size = devices * size_for(math.ceil(count / batches / devices))
    missing = batches * size - count
    filled = {
        name: [*rows, *[rows[-1]] * missing]
        if isinstance(rows, (list, tuple))
        else _fill(ops.convert_to_numpy(rows), missing)
        for name, rows in columns.items()
    }
    return (filled if isinstance(samples, dict) else filled[""]), size, count


def _fill(rows, missing):
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])


def join_rows(parts):
    """Return arrays of several batches as one; pad with 0 if they differ in length."""
    sizes = np.max([part.shape[1:] for part in parts], axis=0).astype(int)

    def pad(part):
        missing = [(0, size - n) for size, n in zip(sizes, part.shape[1:], strict=True)]
        return np.pad(part, [(0, 0), *missing])

    return np.concatenate([pad(part) for part in parts])


def count_devices() -> int:
    """Return the number of devices that share a batch under `keras.distribution`, or 1."""
    layout = data_layout((1, 1))
    if layout is None or layout.axes[0] is None:
        return 1
    mesh = layout.device_mesh
    return mesh.shape[mesh.axis_names.index(layout.axes[0])]


def data_layout(shape):
    """Return the layout of `keras.distribution` for a batch of this shape, or None."""
    distribution = keras.distribution.distribution()
    if distribution is None or keras.backend.backend() != "jax":
        return None
    return distribution.get_data_layout(shape)


def check_distribution():
    """Warn, once, if `keras.distribution` is set and has no effect."""
    backend = keras.backend.backend()
    if keras.distribution.distribution() is not None and backend != "jax":
        warnings.warn(
            "Keras distributes nothing on this backend, and all is computed on one device: use "
            "JAX, or on TensorFlow `tf.distribute`. Received: a `keras.distribution` with "
            f"KERAS_BACKEND={backend}",
            stacklevel=3,
        )

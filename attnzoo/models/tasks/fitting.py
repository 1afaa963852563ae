"""Datasets of packed batches for `fit` and `evaluate`, from samples or datasets of samples."""

import keras

from attnzoo.models.preprocessing.input_checks import is_dataset
from attnzoo.models.tasks.compiling import num_replicas
from attnzoo.models.tasks.samples import (
    is_samples,
    make_dataset,
    need_batches,
    need_no_samples,
    split_samples,
)
from attnzoo.models.tasks.training_batches import PreparedBatches, check_batches, packed_batches


def make_datasets(
    task,
    data: tuple,
    batch_size,
    shuffle: bool,
    validation_data=None,
    validation_split=None,
    validation_batch_size=None,
):
    """Return the datasets for training and for validation (or None) from the arguments of `fit`.

    Args:
        task: The task.
        data: `(x, y, sample_weight)`.
        batch_size, shuffle, validation_data, validation_split, validation_batch_size: As in `fit`.
    """
    x = data[0]
    is_ids = isinstance(x, keras.utils.PyDataset)
    if validation_data is not None and is_ids != isinstance(validation_data, keras.utils.PyDataset):
        raise ValueError(
            "`x` and `validation_data` must both be a `keras.utils.PyDataset` of token ids, or "
            f"neither. Received: x of type {type(x).__name__}, validation_data of type "
            f"{type(validation_data).__name__}"
        )
    samples = _samples_of(task, "x", data, batch_size)
    validating = None
    if validation_data is not None:
        validating = _validation_samples_of(task, validation_data, validation_batch_size)
    elif validation_split:
        if samples is None:
            raise ValueError(
                "`validation_split` is of samples; of a dataset, split off `validation_data`. "
                f"Received: validation_split={validation_split}, x of type {type(x).__name__}"
            )
        samples, validating = split_samples(samples, validation_split)
    if samples is not None:
        x = make_dataset(samples, batch_size, shuffle)
    if validating is not None:
        size = validation_batch_size or batch_size
        validation_data = make_dataset(validating, size, shuffle=False)
    return x, validation_data


def make_dataset_of(task, name: str, data: tuple, batch_size):
    """Return `(x, y, sample_weight)` as a dataset of batches in the given order."""
    samples = _samples_of(task, name, data, batch_size)
    return data[0] if samples is None else make_dataset(samples, batch_size, shuffle=False)


def pack_dataset(task, dataset, class_weight=None):
    """Return batches of ids, from a dataset of any kind."""
    options = {"class_weight": class_weight, "int_masks": num_replicas(task) > 1}
    if not isinstance(dataset, keras.utils.PyDataset):
        return packed_batches(dataset, task.pack_batch, **options)
    return PreparedBatches(dataset, **options) if any(options.values()) else dataset


def _samples_of(task, name, data, batch_size):
    """Return the samples to batch; None if the data are batches already."""
    x, y, sample_weight = data
    if x is None or is_samples(x):
        return task.make_samples(x, y, sample_weight)
    need_batches(name, x)
    need_no_samples(name, x, y=y, batch_size=batch_size, sample_weight=sample_weight)
    check_batches(name, x)
    task.check_dataset(x)
    return None


def _validation_samples_of(task, data, batch_size):
    """Return the same for `validation_data`."""
    if not is_samples(data):
        return _samples_of(task, "validation_data", (data, None, None), batch_size)
    if isinstance(data, (tuple, list)) and is_dataset(data[0] if len(data) else None):
        raise ValueError(
            f"A dataset to validate with must not be in a tuple. Received: validation_data={data!r}"
        )
    try:
        return task.make_validation_samples(data)
    except ValueError as error:
        raise ValueError(f"{error}, in `validation_data`") from error

"""Pairs of a source and a target: packing for a task, and strings from outputs."""

import numpy as np
from keras import ops

from attnzoo.models.preprocessing.eager import as_batch
from attnzoo.models.preprocessing.input_checks import as_texts, check_batched, need_as_many
from attnzoo.models.preprocessing.packing import fit_length, need_some
from attnzoo.models.tasks.batch_sizes import join_rows, split_rows
from attnzoo.samplers import BeamSampler


def as_given(task, inputs):
    """Check the inputs of `generate`.

    Returns:
        Whether the inputs are a single source, and a dict of lists of sources and strings, or of
        arrays of ids.
    """
    if task.preprocessor is None:
        task.check_token_ids(inputs)
        return False, inputs
    preprocessor, key = task.preprocessor, task.preprocessor.source_key
    if not isinstance(inputs, dict):
        inputs = {key: inputs}
    elif not set(inputs) <= {key, "decoder_text"} or key not in inputs:
        raise ValueError(
            "With a preprocessor a task reads raw sources: one, several, or a dict of "
            f"{key!r} and 'decoder_text'. Received: a dict of {sorted(inputs)}"
        )
    is_one, sources = preprocessor.read_sources(inputs[key])
    given = {key: sources}
    if inputs.get("decoder_text") is not None:
        one_target, targets = as_batch(inputs["decoder_text"])
        is_one = is_one or one_target
        given["decoder_text"] = as_texts(targets, "target", may_be_blank=True)
        need_as_many(sources=sources, targets=given["decoder_text"])
    return is_one, given


def batches_of(task, dataset, batch_size: int):
    """Yield the inputs of `generate` in batches, from a dataset of batches of inputs."""
    check_batched(dataset)
    for batch in dataset:
        yield from split_batches(as_given(task, batch)[1], batch_size)


def split_batches(given: dict, batch_size: int):
    """Yield a dict of lists or arrays in batches."""
    count = len(next(iter(given.values())))
    for rows in split_rows(count, batch_size):
        yield {name: value[rows] for name, value in given.items()}


def pack_given(task, given: dict, max_length):
    """Return the backbone's inputs of one batch, with the prompt of each target."""
    if task.preprocessor is None:
        length = np.shape(given["decoder_token_ids"])[1]
        task.check_generated(**{"decoder_token_ids.shape[1]": length})
        return given
    task.check_generated(max_length=max_length or 0)
    return task.preprocessor.generate_preprocess(given, sequence_length=max_length)


def as_outputs(task, decoded: dict, given: dict):
    """Return the strings for the ids of one batch; without a preprocessor, the ids."""
    if task.preprocessor is None:
        own = ("scores",) if isinstance(task.sampler, BeamSampler) else ()
        return {name: decoded[name] for name in ("decoder_token_ids", "decoder_padding_mask", *own)}
    key = task.preprocessor.source_key
    sources = {key: given[key]}  # For copied symbols.
    return task.preprocessor.generate_postprocess({**decoded, **sources})


def join_outputs(task, results: list):
    """Return the outputs of all batches as one."""
    need_some("batch", results)
    outputs = [one["outputs"] for one in results]
    if task.preprocessor is not None:
        return [text for batch in outputs for text in batch]
    return {name: join_rows([one[name] for one in outputs]) for name in outputs[0]}


def without_prompt(decoded: dict, packed: dict) -> dict:
    """Return generated ids with a padding mask that excludes the prompt."""
    given = ops.convert_to_numpy(packed["decoder_padding_mask"]).astype(bool)
    real = decoded["decoder_padding_mask"].astype(bool)
    given = given[:, None] if real.ndim == 3 else given  # [B, 1, T]
    return {**decoded, "decoder_padding_mask": real & ~given}


def pack_pairs(task, inputs) -> dict:
    """Return the backbone's inputs for `alignments`, with whole targets: a dict of arrays."""
    if task.preprocessor is None:
        task.check_token_ids(inputs)
        return inputs
    preprocessor, key = task.preprocessor, task.preprocessor.source_key
    if isinstance(inputs, (tuple, list)) and len(inputs) == 2:
        inputs = {key: inputs[0], "decoder_text": inputs[1]}
    if not isinstance(inputs, dict) or inputs.get("decoder_text") is None:
        raise ValueError(
            "Alignments are of sources and their targets: a pair of two lists, or a dict of "
            f"{key!r} and 'decoder_text'. Received: {inputs!r}"
        )
    _, given = as_given(task, inputs)
    inputs, following, real = preprocessor(given[key], given["decoder_text"])
    steps = fit_length(int(real.sum(axis=1).max()), preprocessor.decoder_sequence_length)
    start = inputs["decoder_token_ids"][:, :1]
    sources = {name: inputs[name] for name in inputs if not name.startswith("decoder")}
    target = np.concatenate([start, following[:, :steps]], axis=1)
    real = np.pad(real[:, :steps], ((0, 0), (1, 0)), constant_values=True)
    return {
        **preprocessor.trim_sources(sources),
        "decoder_token_ids": target,
        "decoder_padding_mask": real,
    }


def count_steps(task, packed: dict):
    """Return the numbers of target steps and source positions that are not padding everywhere.

    Without a preprocessor, return all: the caller chose the padding.
    """
    if task.preprocessor is None:
        return np.shape(packed["decoder_token_ids"])[1] - 1, None
    target = int(packed["decoder_padding_mask"].sum(axis=1).max())
    return target - 1, task.preprocessor.count_places(packed)

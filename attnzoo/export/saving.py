"""Exports: check the arguments, write, run, compare, and then move the result to its path."""

import importlib.util
import os
import tempfile

import keras

from attnzoo.export.child import write_in_child
from attnzoo.export.comparison import compare
from attnzoo.export.formats.base import Format
from attnzoo.export.formats.saved_model import SavedModel
from attnzoo.export.precision import full_precision
from attnzoo.export.specs.families import make_spec


def saved_model(
    task: keras.Model,
    path: str | os.PathLike,
    *,
    inputs: str | None = None,
    overwrite: bool = False,
    verify: list | None = None,
    **options,
) -> str:
    """Write a SavedModel of a task, and check that its outputs equal the live model's.

    It has one signature, `"serving_default"`, dynamic in batch and length, and loads with
    TensorFlow alone. (A subword tokenizer of KerasHub leaves operations of TensorFlow Text in the
    graph: then `import tensorflow_text` has to come first.) With `inputs="text"`, the default, it
    takes strings, `text` [B], and returns

    ==================  =====================================================  ==================
    task                outputs                                                options
    ==================  =====================================================  ==================
    sequence to         `text`, `token_ids`, `scores` [B] in nats,             `sampler`,
    sequence            `alignments` [B, T, S]                                 `max_length`
    text classifier     `labels` [B], `probabilities` [B, C]; `alignments`
                        [B, H, S] with a recurrent encoder
    token tagger        `words`, `labels` [B, W], `probabilities` [B, W, C],
                        `lengths` [B]
    sentence embedder   `embeddings` [B, D], of unit length
    masked language     `candidates`, `candidate_ids`, `probabilities`         `num_candidates`
    model               [B, M, K], `mask_positions` [B, M]
    question answering  (takes `question` and `context`) `answers`,            `max_words`
                        `probabilities` [B], `spans` [B, 2]
    image captioner     (takes `images`, uint8 [B, height, width, C]) as the   `sampler`,
                        first, `alignments` [B, T, H', W']                     `max_length`
    ==================  =====================================================  ==================

    All tasks but the first and the last also return the text's `token_ids` and `tokens` [B, S]. On
    a Transformer encoder they take `return_alignments=True`, which adds `alignments`
    [B, L, N, S, S] of all heads and, if the task pools a text into one vector,
    `pooling_alignments` [B, 1, S].

    With `inputs="ids"` it takes `token_ids`, int32 [B, S], packed as the preprocessor packs them,
    then padding, and returns the outputs that need no text of the input. Use it for a tokenizer
    that TensorFlow cannot trace. The classes in `attnzoo/export/specs` have the details of each
    family.

    S, T, W and M are the largest in the batch. A text longer than the preprocessor's limit is
    truncated, as in the live model, unless the preprocessor has `truncate="error"`. An empty text,
    which the live model refuses, is read as the end token alone: the output in its row is
    meaningless, and other rows do not change.

    Args:
        task: A task of `attnzoo.models`.
        path: Directory to write.
        inputs: `"text"` or `"ids"`, for a captioner `"images"`; None is the first that the task
            takes.
        overwrite: Whether to replace a SavedModel at `path`. It is replaced only after the new one
            has passed the comparison.
        verify: Inputs for the comparison: texts (for question answering, pairs of a question and
            its context), or lists of ids if there is no preprocessor (for question answering, pairs
            of a list and its span mask). None makes inputs of different lengths from the
            vocabulary.
        **options: Options of the task's family; see above.
            `sampler`: `"greedy"`, `"beam"` (5 beams) or an `attnzoo.samplers.BeamSampler`; None
            takes the one that the task was compiled with.
            `max_length`: Longest output, in tokens, with start and end token. At least 2. None
            takes the preprocessor's `decoder_sequence_length`.
            `return_alignments`: Whether to give the alignments of a Transformer encoder's heads and
            of the pooling.
            `num_candidates`: Number of tokens for each mask, 5 by default. At least 1.
            `max_words`: Largest number of words in an answer, or None for any number. At least 1.

    Returns:
        `path`, absolute.

    Raises:
        ValueError: If an argument is none of the above, an option belongs to another family,
            `inputs` is "ids" for a pointer-generator or "text" for a preprocessor that cannot be
            traced (on TensorFlow; on other backends this is a RuntimeError), or, on JAX and torch,
            the model uses a class that is defined in `__main__`, which a child process cannot
            import.
        FileExistsError: If `path` exists, and may not be replaced.
        ImportError: If TensorFlow is missing.
        RuntimeError: If the SavedModel could not be written, or its outputs differ from the live
            model's: texts and ids must be equal, numbers within 1e-3. (In half precision numbers
            must be within 0.1, times the number of tokens for scores. If rounding led to another
            output, its alignments are compared with the live model's alignments for that output. If
            two labels, candidates or answers are within the tolerance, either is accepted.)

    Example:
        >>> attnzoo.export.saved_model(task, "g2p", sampler="beam")
        >>> generate = tf.saved_model.load("g2p").signatures["serving_default"]
        >>> generate(text=tf.constant(["cat", "hat"]))["text"].numpy()
        array([b'K AE T', b'HH AE T'], dtype=object)
    """
    return save(SavedModel(), task, path, inputs, overwrite=overwrite, verify=verify, **options)


def save(
    form: Format,
    task: keras.Model,
    path: str | os.PathLike,
    inputs: str | None,
    *,
    overwrite: bool,
    verify: list | None,
    **options,
) -> str:
    """Write a graph of a task in a format, and check that its outputs equal the live model's.

    Args:
        form: The format.
        task, path, inputs, overwrite, verify, **options: As in `saved_model`.

    Returns:
        `path`, absolute.
    """
    if verify is not None and (isinstance(verify, str) or not len(verify)):
        raise ValueError(
            f"`verify` must be a list of at least one source, or None. Received: verify={verify!r}"
        )
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError("An export needs TensorFlow. Install it with: pip install tensorflow")
    spec = make_spec(task, inputs, **options)
    path = os.path.abspath(os.fspath(path))
    _check_path(path, form, overwrite)

    with spec.as_exported(), full_precision():
        verify = _sample(spec, form) if verify is None else list(verify)
        too_long = [one for one in verify if not form.takes(spec, one)]
        if too_long:
            raise ValueError(
                f"An input of `verify` is longer than the {form.product}'s `length`. "
                f"Received: {too_long[0]!r}"
            )
        feeds, live = spec.run_live(verify)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # In the same folder as `path`, so that the last step is only a rename.
        with tempfile.TemporaryDirectory(
            dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}."
        ) as workplace:
            made = os.path.join(workplace, "made")
            exported = _write_and_run(form, spec, workplace, made, feeds)
            compare(spec, verify, live, exported, form.product)
            if os.path.lexists(path):
                os.replace(path, os.path.join(workplace, "replaced"))
            os.replace(made, path)
    return path


def _sample(spec, form):
    samples = [one for one in spec.sample() if form.takes(spec, one)]
    if not samples:
        raise ValueError(
            "The preprocessor refuses every input made from the vocabulary: pass inputs as "
            "`verify`. Received: verify=None"
        )
    return samples


def _write_and_run(form, spec, workplace, made, feeds):
    """Write the graph to `made`; return its outputs for all `feeds`, and for the first row."""
    if keras.backend.backend() != "tensorflow":
        return write_in_child(form, spec, workplace, made, feeds)
    form.write(spec, made)
    return form.run(spec, made, feeds)


def _check_path(path, form, overwrite):
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(
            "There is something at the path already. Pass `overwrite=True` to replace it. "
            f"Received: path={path!r}"
        )
    empty = os.path.isdir(path) and not os.listdir(path)
    if not (empty or os.path.isfile(os.path.join(path, form.marker))):
        raise FileExistsError(
            f"`overwrite=True` replaces only an earlier {form.product}, and the path holds "
            "something else. "
            f"Received: path={path!r}"
        )

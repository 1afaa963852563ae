"""`saved_model`: check the arguments, write, run, compare, and only then put in place."""

import importlib.util
import os
import tempfile

import keras

from attnzoo.export.child import write_in_child
from attnzoo.export.comparison import compare
from attnzoo.export.graph import run_exported, write_graph
from attnzoo.export.live import full_precision, run_live, sample_sources, sampling_with
from attnzoo.models.seq2seq_task import Seq2SeqTask
from attnzoo.samplers import BeamSampler, GreedySampler


def saved_model(
    task,
    path,
    *,
    inputs: str = "text",
    sampler=None,
    max_length: int | None = None,
    overwrite: bool = False,
    verify: list | None = None,
) -> str:
    """Write a SavedModel that generates, and see that it does what the live model does.

    It has one signature, `"serving_default"`, dynamic in batch and length, and loads with
    TensorFlow alone. (A subword tokenizer of KerasHub leaves operations of TensorFlow Text in the
    graph: then `import tensorflow_text` has to come first.)

    With `inputs="text"` the signature takes `text`, string [B], and gives

    - `text`: string [B], or [B, N] for a sampler that returns N > 1 hypotheses, best first;
    - `token_ids`: int32 [B, T], or [B, N, T]; the output's tokens with the end token, without the
      start token, then padding;
    - `scores`: float32 [B], or [B, N], in nats, as `task.generate(..., return_scores=True)` gives
      them;
    - `alignments`: float32 [B, T, S], of the best hypothesis: row t is for the output's token t,
      the end token last, column s for the source's token s, the end token last; zeros in padding.

    With `inputs="ids"` it takes `token_ids`, int32 [B, S], whole sources with their end token, then
    padding, and gives the same but `text`. Padding, start and end are what the preprocessor's
    tokenizers say; without a preprocessor, 0, 2 and 3, as in our tokenizers. A pointer-generator
    takes texts only; `token_ids` from V on are then symbols of the source, V + their first place.

    T and S are those of the longest in the batch. A source longer than the preprocessor's
    `encoder_sequence_length` is cut, as in the live model. An empty text, which the live model
    refuses, is read as the end token alone: its row has an output, of no meaning, and changes no
    other row.

    Args:
        task: A sequence-to-sequence task, such as `attnzoo.models.RNNSeq2SeqLM`.
        path: Directory to write.
        inputs: `"text"` or `"ids"`.
        sampler: `"greedy"`, `"beam"` (5 beams) or an `attnzoo.samplers.BeamSampler`; None takes the
            one that the task was compiled with.
        max_length: Longest output, in tokens, with start and end token. At least 2. None takes the
            preprocessor's `decoder_sequence_length`.
        overwrite: Whether to replace a SavedModel at `path`. It is replaced when the new one is
            good, not before.
        verify: Sources to compare on: texts, or lists of ids where there is no preprocessor. None
            makes some from the vocabulary, of different lengths.

    Returns:
        `path`, absolute.

    Raises:
        ValueError: If an argument is none of the above, `inputs` is "ids" for a pointer-generator,
            or the model uses a class that is defined in `__main__`, which a child process cannot
            import (JAX and torch only).
        FileExistsError: If there is something at `path`, and it may not be replaced.
        ImportError: If TensorFlow is missing.
        RuntimeError: If the SavedModel could not be written, or does not give what the live model
            gives: texts and ids must be equal, scores and alignments within 1e-3. (With half
            precision: within 0.1, times the tokens for scores; and where rounding has decided for
            another output, it is the live model's alignments for that output that count.)

    Example:
        >>> attnzoo.export.saved_model(task, "g2p", sampler="beam")
        >>> generate = tf.saved_model.load("g2p").signatures["serving_default"]
        >>> generate(text=tf.constant(["cat", "hat"]))["text"].numpy()
        array([b'K AE T', b'HH AE T'], dtype=object)
    """
    sampler = _check(task, inputs, sampler, max_length, verify)
    path = os.path.abspath(os.fspath(path))
    _check_path(path, overwrite)
    max_length = max_length or task.preprocessor.decoder_sequence_length
    if verify is None:
        verify = sample_sources(task)
    verify = list(verify)

    with sampling_with(task, sampler), full_precision():
        sources, live = run_live(task, verify, max_length)
        feeds = verify if inputs == "text" else sources
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Beside its place, so that the last step is a mere renaming.
        with tempfile.TemporaryDirectory(
            dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}."
        ) as workplace:
            made = os.path.join(workplace, "saved_model")
            exported = _write_and_run(task, workplace, made, inputs, max_length, feeds)
            compare(task, verify, live, exported)
            if os.path.lexists(path):
                os.replace(path, os.path.join(workplace, "replaced"))
            os.replace(made, path)
    return path


def _write_and_run(task, workplace, made, inputs, max_length, feeds):
    """Write the SavedModel to `made`; return its outputs for all of `feeds`, and for the first."""
    if keras.backend.backend() != "tensorflow":
        return write_in_child(task, workplace, made, inputs, max_length, feeds)
    write_graph(task, made, inputs, max_length)
    return run_exported(made, inputs, feeds)


def _check(task, inputs, sampler, max_length, verify):
    """Raise where an argument is wrong; return the sampler, or None for the task's own."""
    if not isinstance(task, Seq2SeqTask):
        raise ValueError(
            "`task` must be a sequence-to-sequence task, such as `attnzoo.models.RNNSeq2SeqLM`. "
            f"Received: task={task!r} of type {type(task).__name__}"
        )
    if inputs not in ("text", "ids"):
        raise ValueError(f'`inputs` must be "text" or "ids". Received: inputs={inputs!r}')
    if inputs == "text" and task.preprocessor is None:
        raise ValueError(
            '`inputs="text"` needs a task with a preprocessor, which has the tokenizers. Give it '
            'one, or pass `inputs="ids"`. Received: preprocessor=None'
        )
    if inputs == "ids" and getattr(task.backbone, "pointer_generator", False):
        raise ValueError(
            'What a pointer-generator copies is known by its text: use `inputs="text"`. '
            'Received: inputs="ids", pointer_generator=True'
        )
    if max_length is None and task.preprocessor is None:
        raise ValueError(
            "`max_length` must be given where there is no preprocessor to take it from. "
            "Received: max_length=None"
        )
    if max_length is not None and max_length < 2:
        raise ValueError(
            "`max_length` must be at least 2: a start token and one more. "
            f"Received: max_length={max_length}"
        )
    if verify is not None and (isinstance(verify, str) or not len(verify)):
        raise ValueError(
            f"`verify` must be a list of at least one source, or None. Received: verify={verify!r}"
        )
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError("`saved_model` needs TensorFlow. Install it with: pip install tensorflow")
    named = {"greedy": GreedySampler, "beam": BeamSampler}
    if isinstance(sampler, str) and sampler in named:
        return named[sampler]()
    chosen = task.sampler if sampler is None else sampler
    if not isinstance(chosen, (GreedySampler, BeamSampler)):
        name = repr(chosen) if isinstance(chosen, str) else type(chosen).__name__
        raise ValueError(
            "A SavedModel is compared with the live model, so its sampler must be deterministic: "
            'pass `sampler="greedy"`, "beam" or an `attnzoo.samplers.BeamSampler`. '
            f"Received: sampler={name}" + (", from `compile`" if sampler is None else "")
        )
    return sampler


def _check_path(path, overwrite):
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(
            "There is something at the path already. Pass `overwrite=True` to replace it. "
            f"Received: path={path!r}"
        )
    empty = os.path.isdir(path) and not os.listdir(path)
    if not (empty or os.path.isfile(os.path.join(path, "saved_model.pb"))):
        raise FileExistsError(
            "`overwrite=True` replaces a SavedModel, and what is at the path is none. "
            f"Received: path={path!r}"
        )

"""From a task to one TensorFlow graph, strings in and strings out, that needs nothing of ours.

    text -> tokenize -> encode, prepare -> one step a token (greedy or beam) -> detokenize -> text
                                                        |
                                                        +-> replay -> alignments, scores

The graph is traced under TensorFlow: in this process where that is the backend, else in a child
process, which gets the task as a preset. Either way the artefact is loaded again, run, and held to
the live model before it gets its name.
"""

import argparse
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np
from keras import ops

from attnzoo.models.seq2seq_task import Seq2SeqTask
from attnzoo.samplers import BeamSampler, GreedySampler

SIGNATURE = "serving_default"

# A score is the sum of up to `max_length` log-probabilities. In float32 backends differ in it by
# about 1e-5, for they add in different orders; a wrong weight or mask shows far above 1e-3.
TOLERANCE = 1e-3
# With 8 to 11 bits a number the last rounding decides more: this much a token, in nats.
HALF_TOLERANCE = 0.1


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
    tokenizers say; without a preprocessor, 0, 2 and 3, as in our tokenizers.

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
        ValueError: If an argument is none of the above, or the model uses a class that is defined
            in `__main__`, which a child process cannot import (JAX and torch only).
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
        verify = _sample_sources(task)
    verify = list(verify)

    with _sampling_with(task, sampler), _full_precision():
        sources, live = _run_live(task, verify, max_length)
        feeds = verify if inputs == "text" else sources
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Beside its place, so that the last step is a mere renaming.
        with tempfile.TemporaryDirectory(
            dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}."
        ) as workplace:
            made = os.path.join(workplace, "saved_model")
            exported = _write_and_run(task, workplace, made, inputs, max_length, feeds)
            _compare(task, verify, live, exported)
            if os.path.lexists(path):
                os.replace(path, os.path.join(workplace, "replaced"))
            os.replace(made, path)
    return path


def _write_and_run(task, workplace, made, inputs, max_length, feeds):
    """Write the SavedModel to `made`; return its outputs for all of `feeds`, and for the first."""
    if keras.backend.backend() != "tensorflow":
        return _write_in_child(task, workplace, made, inputs, max_length, feeds)
    _write(task, made, inputs, max_length)
    return _run_exported(made, inputs, feeds)


# === The graph ===


@dataclasses.dataclass(frozen=True)
class _Ids:
    """The special ids of a task."""

    source_pad: int = 0
    source_end: int = 3
    pad: int = 0
    start: int = 2
    end: int = 3

    @classmethod
    def of(cls, task):
        preprocessor = task.preprocessor
        if preprocessor is None:
            return cls()
        if not preprocessor.built:
            preprocessor.build(None)
        source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
        return cls(
            source.pad_token_id,
            source.end_token_id,
            target.pad_token_id,
            target.start_token_id,
            target.end_token_id,
        )


def _write(task, directory, inputs, max_length):
    """Trace the graph under TensorFlow, and save it with what it reads: variables and tables."""
    import tensorflow as tf

    special = _Ids.of(task)
    module = tf.Module()

    def generate_from_text(text):
        return _generate(task, *_tokenize(task, special, text), special, max_length)

    def generate_from_ids(token_ids):
        real = tf.not_equal(token_ids, special.source_pad)
        results = _generate(task, token_ids, real, special, max_length)
        results.pop("text", None)
        return results

    if inputs == "text":
        function, spec = generate_from_text, tf.TensorSpec([None], tf.string, name="text")
        module.tokenizers = _resources(task.preprocessor)
    else:
        function, spec = generate_from_ids, tf.TensorSpec([None, None], tf.int32, name="token_ids")
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    module.weights = list(traced.variables)
    tf.saved_model.save(module, directory, signatures={SIGNATURE: traced})


def _tokenize(task, special, text):
    """string [B] to token ids int32 [B, S] and what of them is real, S as the longest needs."""
    import tensorflow as tf

    ids = task.preprocessor.source_tokenizer(text)
    if not isinstance(ids, tf.RaggedTensor):
        ids = tf.RaggedTensor.from_tensor(ids)
    ids = tf.cast(ids, tf.int32)[:, : task.preprocessor.encoder_sequence_length - 1]
    ends = tf.fill([tf.shape(text)[0], 1], special.source_end)
    ids = tf.concat([ids, tf.RaggedTensor.from_tensor(ends)], axis=1)  # [B, (S)]
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    ids = ids.to_tensor(default_value=special.source_pad)  # [B, S]
    return ids, tf.sequence_mask(lengths, tf.shape(ids)[1])


def _generate(task, source, real, special, max_length):
    """Outputs for token ids int32 [B, S] and their mask bool [B, S]: what the signature gives."""
    import tensorflow as tf

    batch = tf.shape(source)[0]
    if_none = [[0, 0], [0, tf.cast(tf.equal(tf.shape(source)[1], 0), tf.int32)]]
    source = tf.pad(source, if_none, constant_values=special.source_pad)  # A loop wants a step.
    real = tf.pad(real, if_none)
    first = tf.range(max_length) == 0  # [L]
    prompt = tf.where(first, special.start, special.pad)
    memory = {"encoder_token_ids": source, "encoder_padding_mask": real}
    made = task.generate_step(
        {
            **memory,
            "decoder_token_ids": tf.tile(prompt[None, :], [batch, 1]),  # [B, L]
            "decoder_padding_mask": tf.tile(first[None, :], [batch, 1]),
        },
        stop_token_ids=(special.end,),
    )
    tokens = tf.cast(made["decoder_token_ids"], tf.int32)  # [B, L] or [B, N, L]
    kept = tf.cast(made["decoder_padding_mask"], tf.bool)
    longest = tf.reduce_max(tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1))
    longest = tf.maximum(longest, 2)  # Also for a batch of none.
    tokens, kept = tokens[..., :longest], kept[..., :longest]
    tokens = tf.where(kept, tokens, special.pad)
    several = len(tokens.shape) == 3
    replayed = task.replay(
        {
            **memory,
            "decoder_token_ids": tokens[:, 0] if several else tokens,
            "decoder_padding_mask": kept[:, 0] if several else kept,
        }
    )
    scores = replayed["scores"]
    if "scores" in made:
        scores = made["scores"] if several else made["scores"][:, 0]
    results = {
        "token_ids": tokens[..., 1:],
        "scores": tf.cast(scores, tf.float32),
        "alignments": replayed["alignments"],
    }
    if task.preprocessor is not None:
        text = task.preprocessor.generate_postprocess(
            {
                "decoder_token_ids": tf.reshape(tokens, [-1, longest]),
                "decoder_padding_mask": tf.reshape(kept, [-1, longest]),
            }
        )
        results["text"] = tf.reshape(text, tf.shape(tokens)[:-1])
    return results


def _resources(preprocessor):
    """What of the tokenizers a SavedModel must hold: our lookup table, or all of another's."""
    source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
    resources = [getattr(source, "lookup_table", source)]
    if not hasattr(target, "lookup_table"):  # Ours need no table to make text of ids.
        resources.append(target)
    return resources


def _run_exported(directory, inputs, feeds):
    """Load the SavedModel and run it: on the whole batch, and on its first source alone."""
    import tensorflow as tf

    generate = tf.saved_model.load(directory).signatures[SIGNATURE]

    def run(rows):
        if inputs == "text":
            outputs = generate(text=tf.constant(rows))
        else:
            outputs = generate(token_ids=tf.constant(rows, tf.int32))
        outputs = {name: value.numpy() for name, value in outputs.items()}
        if "text" in outputs:
            decode = np.vectorize(lambda text: text.decode("utf-8"), otypes=["U"])
            outputs["text"] = decode(outputs["text"]).astype("U")
        return outputs

    return run(feeds), run(feeds[:1])


# === The child process ===


def _write_in_child(task, workplace, made, inputs, max_length, feeds):
    """Save the task as a preset; let a process under TensorFlow write, load and run the rest."""
    preset = os.path.join(workplace, "preset")
    results = os.path.join(workplace, "results")
    modules = _modules_of(task)
    task.save_to_preset(preset)
    beam = isinstance(task.sampler, BeamSampler)
    request = {
        "preset": preset,
        "has_preprocessor": task.preprocessor is not None,
        "dtype": keras.saving.serialize_keras_object(task.backbone.dtype_policy),
        "modules": modules,
        "sampler": keras.saving.serialize_keras_object(task.sampler) if beam else None,
        "directory": made,
        "inputs": inputs,
        "max_length": max_length,
        "feeds": feeds if inputs == "text" else np.asarray(feeds).tolist(),
        "results": results,
    }
    request_path = os.path.join(workplace, "request.json")
    with open(request_path, "w", encoding="utf-8") as file:
        json.dump(request, file)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # What can be imported here can be imported there.
        "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path),
        "PYTHONIOENCODING": "utf-8",
    }
    environment.pop("XLA_FLAGS", None)  # Meant for another XLA, which may know other flags.
    child = subprocess.run(
        [sys.executable, "-m", "attnzoo.export", request_path],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if child.returncode != 0:
        raise RuntimeError(
            "The child process that writes the SavedModel under TensorFlow failed, with exit "
            f"status {child.returncode}. The end of what it said:\n{child.stderr[-4000:]}"
        )
    return tuple(
        dict(np.load(f"{results}_{part}.npz", allow_pickle=False)) for part in ("all", "first")
    )


def _child(arguments=None):
    """What the child process does."""
    parser = argparse.ArgumentParser(prog="python -m attnzoo.export")
    parser.add_argument("request", help="JSON file, as `_write_in_child` writes it.")
    with open(parser.parse_args(arguments).request, encoding="utf-8") as file:
        request = json.load(file)
    for module in request["modules"]:
        importlib.import_module(module)
    # Said outright, for a preset is otherwise loaded under this process's own policy.
    arguments = {"dtype": keras.saving.deserialize_keras_object(request["dtype"])}
    if not request["has_preprocessor"]:
        arguments["preprocessor"] = None
    task = Seq2SeqTask.from_preset(request["preset"], **arguments)
    sampler = GreedySampler()
    if request["sampler"] is not None:
        sampler = keras.saving.deserialize_keras_object(request["sampler"])
    task.compile(sampler=sampler)
    inputs, feeds = request["inputs"], request["feeds"]
    _write(task, request["directory"], inputs, request["max_length"])
    both = _run_exported(request["directory"], inputs, feeds)
    for part, outputs in zip(("all", "first"), both, strict=True):
        np.savez(f"{request['results']}_{part}.npz", **outputs)


def _modules_of(task):
    """The modules, all but Keras's own, that define classes and functions of a task."""
    registered = keras.saving.get_custom_objects()
    found = {(type(task).__module__, type(task).__name__)}

    def visit(value):
        if isinstance(value, dict):
            if isinstance(value.get("module"), str) and "class_name" in value:
                found.add((value["module"], value["class_name"]))
            for item in value.values():
                visit(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)
        elif isinstance(value, str) and value in registered:
            found.add((registered[value].__module__, registered[value].__name__))

    visit(keras.saving.serialize_keras_object(task))
    visit(keras.saving.serialize_keras_object(task.sampler))
    known = ("builtins", "keras", "keras_hub")
    found = {(module, name) for module, name in found if module.split(".")[0] not in known}
    for module, name in sorted(found):
        if module in ("__main__", "__mp_main__"):
            raise ValueError(
                f"Under {keras.backend.backend()} a SavedModel is written by a child process, "
                "which must be able to import the model's classes: move this one from the script "
                f"or notebook to a module of its own. Received: {name!r}, defined in {module}"
            )
    return sorted({module for module, _ in found})


# === The live model ===


def _run_live(task, verify, max_length):
    """The live model on the sources to compare on: their token ids [B, S], and its outputs."""
    special = _Ids.of(task)
    if task.preprocessor is not None:
        batch = task.preprocessor.generate_preprocess(verify, sequence_length=max_length)
        batch = {name: ops.convert_to_numpy(value) for name, value in batch.items()}
    else:
        width = max(len(row) for row in verify)
        source = np.array(
            [[*row, *[special.source_pad] * (width - len(row))] for row in verify], "int32"
        )
        prompt = np.full((len(verify), max_length), special.pad, "int32")
        prompt[:, 0] = special.start
        batch = {
            "encoder_token_ids": source,
            "encoder_padding_mask": source != special.source_pad,
            "decoder_token_ids": prompt,
            "decoder_padding_mask": np.arange(max_length)[None, :] + 0 * prompt == 0,
        }
    tensors = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
    made = task.make_generate_function()(tensors, stop_token_ids=(special.end,))
    outputs = {}
    if task.preprocessor is not None:
        outputs["text"] = np.array(task.preprocessor.generate_postprocess(made), dtype="U")
    tokens = ops.convert_to_numpy(made["decoder_token_ids"])
    kept = ops.convert_to_numpy(made["decoder_padding_mask"]).astype(bool)
    outputs["token_ids"] = np.where(kept, tokens, special.pad)[..., 1:].astype("int32")
    several = tokens.ndim == 3
    best = (tokens[:, 0], kept[:, 0]) if several else (tokens, kept)
    replayed = _replay_live(task, batch, *best)
    outputs["alignments"] = replayed["alignments"]
    outputs["scores"] = replayed["scores"]
    if "scores" in made:
        scores = ops.convert_to_numpy(made["scores"])
        outputs["scores"] = scores if several else scores[:, 0]
    outputs["batch"] = batch
    return batch["encoder_token_ids"].astype("int32"), outputs


def _replay_live(task, batch, tokens, kept):
    given = {**batch, "decoder_token_ids": tokens, "decoder_padding_mask": kept}
    return task._replay_on_batch(given)


@contextlib.contextmanager
def _sampling_with(task, sampler):
    """The task with another sampler, for a while."""
    before = task.sampler, task.generate_function
    if sampler is not None:
        task.sampler, task.generate_function = sampler, None
    try:
        yield
    finally:
        task.sampler, task.generate_function = before


@contextlib.contextmanager
def _full_precision():
    """float32 products whole: on some accelerators the default keeps 10 bits of each factor."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    else:
        yield


def _sample_sources(task):
    """A few sources of different lengths, made from the vocabulary, the same in every run."""
    draw = np.random.default_rng(0)
    if task.preprocessor is None:
        size = task.backbone.source_vocabulary_size
        special = _Ids.of(task)
        return [
            [*draw.integers(min(4, size - 1), size, length).tolist(), special.source_end]
            for length in (5, 1, 2, 11, 23)
        ]
    tokenizer = task.preprocessor.source_tokenizer
    _Ids.of(task)  # Now the tokenizer has its special ids.
    names = ("pad_token_id", "unk_token_id", "start_token_id", "end_token_id")
    hidden = {getattr(tokenizer, name, None) for name in names}
    symbols = [id for id in range(tokenizer.vocabulary_size()) if id not in hidden]
    limit = task.preprocessor.encoder_sequence_length
    lengths = [5, 1, 2, 11, 23, *([limit + 2] if limit <= 100 else [])]  # The last one is cut.
    texts = [
        tokenizer.detokenize([int(id) for id in draw.choice(symbols, length)])
        for length in lengths
        if symbols
    ]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise ValueError(
            "The source vocabulary gives no text to compare on: pass some as `verify`. "
            f"Received: verify=None, with a vocabulary of {tokenizer.vocabulary_size()} tokens"
        )
    return texts


# === The comparison ===


def _compare(task, verify, live, exported):
    """Hold the SavedModel's outputs to the live model's, source by source.

    Raises:
        RuntimeError: At the first difference.
    """
    whole, first = exported
    half = task.backbone.compute_dtype != "float32"
    for row, source in enumerate(verify):
        _compare_row(task, source, row, live, whole, half)
    # Alone in its batch a source must give what it gave among others.
    _compare_row(task, verify[0], 0, live, first, half)


def _compare_row(task, source, row, live, exported, half):
    tokens, live_tokens = _as_wide(exported["token_ids"][row], live["token_ids"][row])
    expected = {name: value[row] for name, value in live.items() if name != "batch"}
    tolerances = {"scores": TOLERANCE, "alignments": TOLERANCE}
    names = ["token_ids", "text", "scores", "alignments"]
    if half:
        # At least one token: the end.
        length = max(1, int(np.count_nonzero(live_tokens)))
        tolerances = {"scores": HALF_TOLERANCE * length, "alignments": HALF_TOLERANCE}
        if not np.array_equal(tokens, live_tokens):
            expected["alignments"] = _alignments_of(task, live["batch"], row, tokens)
            names = ["alignments"]
    for name in names:
        if name not in exported:
            continue
        one, other = exported[name][row], expected[name]
        if name == "text":
            equal = np.array_equal(one, other)
        else:
            one, other = _as_wide(one, other)
            equal = np.allclose(one, other, rtol=0, atol=tolerances.get(name, 0))
        if not equal:
            raise RuntimeError(
                "The SavedModel does not give what the live model gives, and was removed. First "
                f"difference: `{name}` for the source {source!r}.\n"
                f"SavedModel: {_show(one)}\nlive model: {_show(other)}"
            )


def _alignments_of(task, batch, row, token_ids):
    """The live model's alignments for the best hypothesis of another."""
    special = _Ids.of(task)
    best = token_ids[0] if token_ids.ndim == 2 else token_ids
    length = batch["decoder_token_ids"].shape[1]
    whole = _fit(np.concatenate([[special.start], best]), (length,), special.pad)
    ended = np.cumsum(whole == special.end)
    kept = (ended == 0) | ((whole == special.end) & (ended == 1))
    tokens, mask = np.array(batch["decoder_token_ids"]), np.array(batch["decoder_padding_mask"])
    tokens[row], mask[row] = whole, kept
    return _replay_live(task, batch, tokens, mask)["alignments"][row]


def _as_wide(one, other):
    """Two arrays, each padded with zeros at the ends of its axes to be as wide as the other."""
    shape = [max(sizes) for sizes in zip(np.shape(one), np.shape(other), strict=True)]
    return _fit(one, shape), _fit(other, shape)


def _fit(array, shape, value=0):
    missing = [(0, wanted - has) for wanted, has in zip(shape, np.shape(array), strict=True)]
    return np.pad(array, missing, constant_values=value) if missing else np.asarray(array)


def _show(value):
    with np.printoptions(threshold=200, precision=5, suppress=True):
        return repr(value.tolist()) if value.dtype.kind == "U" else str(value)


# === Checks of the arguments ===


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


if __name__ == "__main__":
    _child()

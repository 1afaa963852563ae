"""`onnx`, `litert` and `step`: graphs that run without TensorFlow."""

import importlib.util
import os

import keras

from attnzoo.checks import check_choice, check_positive
from attnzoo.export.formats.litert import LiteRT
from attnzoo.export.formats.onnx import Onnx
from attnzoo.export.formats.portable import PortableFormat
from attnzoo.export.formats.steps import LiteRTSteps, OnnxSteps
from attnzoo.export.saving import save
from attnzoo.models.tasks.seq2seq import Seq2SeqTask
from attnzoo.samplers import BeamSampler


def onnx(
    task: keras.Model,
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    verify: list | None = None,
    **options,
) -> str:
    """Write a task as an ONNX model, and check that its outputs equal the live model's.

    The graph holds the whole work of the task, decoding included, for any batch and length. It
    runs with ONNX Runtime, and `attnzoo.runtime` runs it from text to text with NumPy and ONNX
    Runtime alone. `path` is a folder of two files: `model.onnx`, and `attnzoo.json` with the names
    and shapes of inputs and outputs, the tokenizers, the options of decoding and the labels.

    ==================  =======================  ==================================================
    task                inputs, int32            outputs
    ==================  =======================  ==================================================
    sequence to         `source_ids` [B, S]      `ids` int32 [B, N, T] of N hypotheses, best first,
    sequence                                     without start token; `scores` float32 [B, N], in
                                                 nats; `alignments` float32 [B, T, S] of the best
    text classifier     `ids` [B, S]             `probabilities` [B, C]; `alignments` [B, H, S] with
                                                 a recurrent encoder
    token tagger        `ids` [B, S]             `probabilities` [B, S, C] of all tokens
    sentence embedder   `ids` [B, S]             `vectors` [B, D], of unit length
    masked language     `ids` [B, S]             `mask_positions` [B, M], `candidate_ids` and
    model                                        `probabilities` [B, M, K]
    question answering  `ids` [B, S],            `spans` int32 [B, 2], token positions;
                        `span_mask` bool [B, S]  `probabilities` [B]
    ==================  =======================  ==================================================

    Ids are packed as the preprocessor packs them, then padded. B and S are at least 1.

    Args:
        task: A task of `attnzoo.models`.
        path: Folder to write.
        overwrite: Whether to replace an export at `path`. It is replaced only after the new one has
            passed the comparison.
        verify: Inputs for the comparison, as in `saved_model`.
        **options: Options of the task's family, as in `saved_model`.

    Returns:
        `path`, absolute.

    Raises:
        ValueError: As in `saved_model`; if the task is a pointer-generator, or its graph has an
            operation that ONNX does not have. A SavedModel has neither limit.
        FileExistsError: If `path` exists, and may not be replaced.
        ImportError: If TensorFlow, tf2onnx or onnxruntime is missing.
        RuntimeError: As in `saved_model`.

    Example:
        >>> attnzoo.export.onnx(task, "g2p", sampler="beam")
        >>> attnzoo.runtime.Model.load("g2p")(["cat", "hat"])["text"]
        ['K AE T', 'HH AE T']
    """
    return _save(Onnx(), task, path, overwrite, verify, options)


def litert(
    task: keras.Model,
    path: str | os.PathLike,
    *,
    length: int | None = None,
    batch_size: int = 1,
    overwrite: bool = False,
    verify: list | None = None,
    **options,
) -> str:
    """Write a task as a LiteRT model, and check that its outputs equal the live model's.

    As `onnx`, in a file `model.tflite` for LiteRT, which is smaller and faster for one input at a
    time. LiteRT needs to know B and S: a shorter source is padded.

    Args:
        task, path, overwrite, verify, **options: As in `onnx`.
        length: S, the longest source in tokens, special ones counted. At least 1. None takes the
            preprocessor's.
        batch_size: B. At least 1.

    Returns:
        `path`, absolute.

    Raises:
        ValueError: As in `onnx`, for LiteRT; if `length` or `batch_size` is below 1, or `length` is
            None without a preprocessor.
        FileExistsError, ImportError, RuntimeError: As in `onnx`.

    Example:
        >>> attnzoo.export.litert(task, "g2p", length=32)
        >>> attnzoo.runtime.Model.load("g2p")(["cat"])["text"]
        ['K AE T']
    """
    _refuse_quantized(task)
    form = LiteRT(batch_size=batch_size, length=_length(task, length))
    check_positive(length=form.length, batch_size=batch_size)
    return _save(form, task, path, overwrite, verify, options)


def step(
    task: keras.Model,
    path: str | os.PathLike,
    *,
    format: str = "onnx",
    length: int | None = None,
    overwrite: bool = False,
    verify: list | None = None,
    **options,
) -> str:
    """Write a sequence-to-sequence task as two graphs, the encoder and one step of decoding.

    The loop is outside, so that it may be any: `attnzoo.runtime` has a greedy and a beam search,
    with which the outputs are compared with the live model's. On a small device, or in a browser,
    this is faster than a loop in the graph.

    - The encoder takes `source_ids` int32 [B, S] and gives the state, tensors `s0`, `s1`, ... with
      the batch first.
    - A step takes `token_ids` int32 [R], the last token of each of R hypotheses, `index`, an int32
      scalar, how many tokens are before it, and the state, each row repeated for its hypotheses. It
      gives `log_probs` float32 [R, V], `alignments` float32 [R, S], and `next_s1`, ... for what
      changes of the state.

    Args:
        task, path, overwrite, verify: As in `onnx`.
        format: `"onnx"` or `"litert"`. With LiteRT B is 1, and R the number of beams.
        length: S, for LiteRT alone, as in `litert`.
        **options: `sampler` and `max_length`, as in `saved_model`. They are kept for the loop.

    Returns:
        `path`, absolute.

    Raises:
        ValueError: As in `onnx` and `litert`; if `format` is none of the two, `length` comes with
            ONNX, the task is no sequence-to-sequence task, or the sampler has an option that the
            loop outside does not have.
        FileExistsError, ImportError, RuntimeError: As in `onnx`.

    Example:
        >>> attnzoo.export.step(task, "g2p", format="onnx", sampler="beam")
        >>> attnzoo.runtime.Model.load("g2p")(["cat"])["text"]
        ['K AE T']
    """
    check_choice(("onnx", "litert"), format=format)
    if not isinstance(task, Seq2SeqTask):
        raise ValueError(
            "Only a sequence-to-sequence task decodes in steps; export others with `onnx` or "
            f"`litert`. Received: task={task!r} of type {type(task).__name__}"
        )
    _check_loop(options.get("sampler") or task.sampler)
    if format == "litert":
        _refuse_quantized(task)
        chosen = _length(task, length)
        check_positive(length=chosen)
        return _save(LiteRTSteps(length=chosen), task, path, overwrite, verify, options)
    if length is not None:
        raise ValueError(f"`length` is for LiteRT: ONNX takes any. Received: length={length}")
    return _save(OnnxSteps(), task, path, overwrite, verify, options)


def _refuse_quantized(task):
    """Raise if LiteRT would get the int8 products of Keras, which it cannot convert."""
    layers = task._flatten_layers() if isinstance(task, keras.Model) else []
    modes = {str(layer.quantization_mode) for layer in layers if layer.quantization_mode}
    if modes:
        raise ValueError(
            "LiteRT has no products of quantized weights as Keras makes them: write an ONNX model "
            f"with `attnzoo.export.onnx`. Received: {', '.join(sorted(modes))} weights"
        )


def _check_loop(sampler):
    """Raise if a beam search has an option that the loop of `attnzoo.runtime` does not have."""
    if not isinstance(sampler, BeamSampler):
        return
    config, usual = sampler.get_config(), BeamSampler().get_config()
    known = ("num_beams", "num_hypotheses", "length_penalty")
    others = {
        name: value
        for name, value in config.items()
        if name in usual and name not in known and value != usual[name]
    }
    if others:
        raise ValueError(
            f"The loop outside has the options {known} alone: leave out others, or write a whole "
            f"decode with `onnx` or `litert`. Received: {others}"
        )


def _length(task, length: int | None) -> int:
    """Return a fixed length: the argument, or the preprocessor's longest source."""
    if length is not None:
        return length
    preprocessor = getattr(task, "preprocessor", None)
    for name in ("encoder_sequence_length", "sequence_length"):
        if hasattr(preprocessor, name):
            return getattr(preprocessor, name)
    raise ValueError(
        "`length` must be given where there is no preprocessor to take it from. "
        "Received: length=None"
    )


def _save(form: PortableFormat, task, path, overwrite, verify, options) -> str:
    missing = [name for name in form.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"Writing the {form.product} needs other packages. Install them with: pip install "
            f'"attnzoo[{form.extra}]". Missing: {", ".join(missing)}'
        )
    backbone = getattr(task, "backbone", None)
    dtype = getattr(backbone, "compute_dtype", "float32")
    if dtype != "float32":
        raise ValueError(
            f'The {form.product} computes in float32: load the task with `dtype="float32"`, or '
            f"write a SavedModel. Received: a task that computes in {dtype}"
        )
    if getattr(backbone, "pointer_generator", False):
        raise ValueError(
            "A pointer-generator copies symbols of texts, and this graph takes ids alone: write a "
            "SavedModel with `attnzoo.export.saved_model`. Received: pointer_generator=True"
        )
    return save(form, task, path, "ids", overwrite=overwrite, verify=verify, **options)

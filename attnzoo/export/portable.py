"""`onnx`: graphs that run without TensorFlow."""

import importlib.util
import os

import keras

from attnzoo.export.formats.onnx import Onnx
from attnzoo.export.formats.portable import PortableFormat
from attnzoo.export.saving import save


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


def _save(form: PortableFormat, task, path, overwrite, verify, options) -> str:
    missing = [name for name in form.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"Writing the {form.product} needs other packages. Install them with: pip install "
            f'"attnzoo[{form.extra}]". Missing: {", ".join(missing)}'
        )
    if getattr(getattr(task, "backbone", None), "pointer_generator", False):
        raise ValueError(
            "A pointer-generator copies symbols of texts, and this graph takes ids alone: write a "
            "SavedModel with `attnzoo.export.saved_model`. Received: pointer_generator=True"
        )
    return save(form, task, path, "ids", overwrite=overwrite, verify=verify, **options)

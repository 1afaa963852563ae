"""ONNX: the whole graph in one file for ONNX Runtime, for batches and sequences of any length."""

import contextlib
import dataclasses
import logging
import os

from attnzoo.export.formats.portable import PortableFormat, describe_tensors

_OPSET = 18


@dataclasses.dataclass(frozen=True)
class Onnx(PortableFormat):
    """A folder with `model.onnx`."""

    product = "ONNX model"
    runtime = "onnx"
    packages = ("tf2onnx", "onnx", "onnxruntime")
    extra = "onnx"

    def write(self, spec, directory):
        os.makedirs(directory)
        signature = spec.portable_signature()
        path = os.path.join(directory, "model.onnx")
        outputs = write_onnx(spec.compute_portable, signature, path)
        self.write_about(
            spec,
            directory,
            files={"model": "model.onnx"},
            inputs=describe_tensors(signature),
            outputs=outputs,
        )


def write_onnx(compute, signature: dict, path: str) -> list[dict]:
    """Convert a function of TensorFlow to ONNX.

    Args:
        compute: Function of a dict of tensors to a dict of tensors.
        signature: A dict from the name of each input to its `tf.TensorSpec`.
        path: The file to write.

    Returns:
        `name`, `dtype` and `shape` of the outputs.

    Raises:
        ValueError: If the graph has an operation that ONNX does not have.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    outputs: dict = {}

    def run(*given):
        outputs.update(compute(dict(zip(signature, given, strict=True))))
        return dict(outputs)

    with _quiet():
        model, _ = tf2onnx.convert.from_function(
            tf.function(run, autograph=False), list(signature.values()), opset=_OPSET
        )
    unknown = sorted(_operations(model.graph) - {one.name for one in onnx.defs.get_all_schemas()})
    if unknown:  # tf2onnx only logs this.
        raise ValueError(
            "The graph has operations that ONNX does not have. Export a SavedModel with "
            f"`attnzoo.export.saved_model`. Received: {unknown}"
        )
    onnx.save(model, path)
    return describe_tensors(outputs)


def _operations(graph) -> set[str]:
    """Return the types of all nodes, also of those in loops and branches."""
    found = set()
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _operations(attribute.g)
    return found


@contextlib.contextmanager
def _quiet():
    """Return a context without the messages of tf2onnx, which are about its own work."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

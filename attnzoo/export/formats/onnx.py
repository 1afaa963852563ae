"""ONNX: the whole graph in one file for ONNX Runtime, for batches and sequences of any length."""

import contextlib
import dataclasses
import logging

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
        signature = spec.portable_signature()
        self.write_whole(
            spec, directory, file="model.onnx", signature=signature, write_graph=write_onnx
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

    outputs: dict = {}

    def run(*given):
        outputs.update(compute(dict(zip(signature, given, strict=True))))
        return dict(outputs)

    with _quiet():
        traced = tf.function(run, autograph=False).get_concrete_function(*signature.values())
        model = _convert(traced)
    unknown = sorted(_operations(model.graph) - {one.name for one in onnx.defs.get_all_schemas()})
    if unknown:  # tf2onnx only logs this.
        raise ValueError(
            "The graph has operations that ONNX does not have. Export a SavedModel with "
            f"`attnzoo.export.saved_model`. Received: {unknown}"
        )
    onnx.save(model, path)
    return describe_tensors(outputs)


def _convert(traced):
    """Return the ONNX model of a concrete function, named as its inputs and outputs."""
    import tensorflow as tf
    from tf2onnx import convert, optimizer, tf_loader, tfonnx

    inputs = [one.name for one in traced.inputs if one.dtype != tf.resource]
    outputs = [one.name for one in traced.outputs]
    names = convert.tensor_names_from_structed(traced, inputs, outputs)
    # Not all of its optimizers: that of reshapes takes a tensor for another (tf2onnx 1.17).
    chosen = {
        "fold_constants": optimizer.ConstFoldOptimizer,
        "loop": optimizer.LoopOptimizer,
        "merge_duplicates": optimizer.MergeDuplicatedNodesOptimizer,
        "remove_identity": optimizer.IdentityOptimizer,
    }
    frozen = tf_loader.from_function(traced, inputs, outputs)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        converted = tfonnx.process_tf_graph(
            graph,
            continue_on_error=True,
            opset=_OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=names,
            custom_op_handlers={"Erfc": (_convert_erfc, [])},
        )
        optimized = optimizer.optimize_graph(converted, catch_errors=False, optimizers=chosen)
        return optimized.make_model("attnzoo")


def _convert_erfc(graph, node, name, args):
    """Convert erfc(x), which an exact gelu has, to 1 - erf(x)."""
    import numpy as np

    output, dtype = node.output[0], graph.get_dtype(node.output[0])
    shape, given = graph.get_shape(output), node.input[0]
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", [given], shapes=[shape], dtypes=[dtype])
    one = graph.make_const(f"{name}/one", np.array(1.0, "float32"))
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=[output],
        shapes=[shape],
        dtypes=[dtype],
        name=name,
    )


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

"""LiteRT: the whole graph in one file, for one batch size and one length."""

import dataclasses

from attnzoo.export.formats.portable import PortableFormat, describe_tensors


@dataclasses.dataclass(frozen=True)
class LiteRT(PortableFormat):
    """A folder with `model.tflite`.

    Args:
        batch_size: B, of every input.
        length: S, of every input: the longest source, in tokens.
    """

    batch_size: int = 1
    length: int = 1

    product = "LiteRT model"
    packages = ("ai_edge_litert",)
    extra = "litert"
    runtime = "litert"

    def takes(self, spec, given):
        return spec.count_ids(given) <= self.length

    def write(self, spec, directory):
        signature = spec.portable_signature((self.batch_size, self.length))
        self.write_whole(
            spec, directory, file="model.tflite", signature=signature, write_graph=write_litert
        )


def write_litert(compute, signature: dict, path: str) -> list[dict]:
    """Convert a function of TensorFlow to LiteRT.

    Args:
        compute: Function of a dict of tensors to a dict of tensors.
        signature: A dict from the name of each input to its `tf.TensorSpec`.
        path: The file to write.

    Returns:
        `name`, `dtype` and `shape` of the outputs.

    Raises:
        ValueError: If the graph has an operation that LiteRT does not have.
    """
    import tensorflow as tf

    module, outputs = tf.Module(), {}

    def run(**given):
        outputs.update(compute(given))
        return dict(outputs)

    traced = tf.function(run, autograph=False).get_concrete_function(**signature)
    module.weights = list(traced.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        converted = converter.convert()
    except Exception as error:
        raise ValueError(
            "LiteRT does not have every operation of the graph. Export an ONNX model with "
            "`attnzoo.export.onnx`, or a SavedModel with `attnzoo.export.saved_model`. The end of "
            f"what the converter said:\n{str(error)[-2000:]}"
        ) from error
    with open(path, "wb") as file:
        file.write(converted)
    return describe_tensors(outputs)

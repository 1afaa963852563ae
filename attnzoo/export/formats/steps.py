"""Encoder and step as two graphs, of ONNX or LiteRT, for a loop outside."""

import dataclasses
import os

from attnzoo.export.formats.litert import LiteRT, write_litert
from attnzoo.export.formats.onnx import Onnx, write_onnx
from attnzoo.export.formats.portable import PortableFormat, describe_tensors
from attnzoo.export.specs.steps import DecodingSteps


class _Steps(PortableFormat):
    """A folder with the graphs `encoder` and `step`."""

    parts = "step"
    extension = ""

    def write(self, spec, directory):
        os.makedirs(directory)
        signature, steps = spec.portable_signature(self.sizes()), DecodingSteps(spec)
        files = {part: f"{part}{self.extension}" for part in ("encoder", "step")}
        paths = {part: os.path.join(directory, name) for part, name in files.items()}
        state = self.write_graph(steps.encode, signature, paths["encoder"])
        self.write_graph(steps.step, self._step_signature(spec, state), paths["step"])
        outputs = [
            {"name": "ids", "dtype": "int32", "shape": [None, None, None]},
            {"name": "scores", "dtype": "float32", "shape": [None, None]},
            {"name": "alignments", "dtype": "float32", "shape": [None, None, None, None]},
        ]
        inputs = describe_tensors(signature)
        self.write_about(spec, directory, files=files, inputs=inputs, outputs=outputs)

    def sizes(self) -> tuple:
        """Return B and S of the encoder, or None for any size."""
        return None, None

    def write_graph(self, compute, signature, path) -> list[dict]:
        """Convert a function; see `write_onnx` and `write_litert`."""
        raise NotImplementedError

    def _step_signature(self, spec, state):
        """Return the inputs of a step: R rows of hypotheses, B times the beams."""
        import tensorflow as tf

        batch, _ = self.sizes()
        rows = None if batch is None else batch * getattr(spec.sampler, "num_beams", 1)
        signature = {
            "token_ids": tf.TensorSpec([rows], tf.int32, name="token_ids"),
            "index": tf.TensorSpec([], tf.int32, name="index"),
        }
        for one in state:
            shape = [rows, *one["shape"][1:]]
            signature[one["name"]] = tf.TensorSpec(shape, one["dtype"], name=one["name"])
        return signature


@dataclasses.dataclass(frozen=True)
class OnnxSteps(_Steps, Onnx):
    """A folder with `encoder.onnx` and `step.onnx`."""

    product = "ONNX step graphs"
    extension = ".onnx"

    def write_graph(self, compute, signature, path):
        return write_onnx(compute, signature, path)


@dataclasses.dataclass(frozen=True)
class LiteRTSteps(_Steps, LiteRT):
    """A folder with `encoder.tflite` and `step.tflite`; see `LiteRT`."""

    product = "LiteRT step graphs"
    extension = ".tflite"

    def sizes(self):
        return self.batch_size, self.length

    def write_graph(self, compute, signature, path):
        return write_litert(compute, signature, path)

"""A process that has NumPy and ONNX Runtime alone answers, and stays small."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.backend_free

ROOT = pathlib.Path(__file__).parents[2]
WORDS = ["[PAD]", "[UNK]", "[START]", "[END]", "a", "b"]

PROGRAM = """
import pathlib, re, sys
for name in ("keras", "keras_hub", "tensorflow", "jax", "torch", "matplotlib"):
    sys.modules[name] = None  # To import it is an error.
from attnzoo.runtime import Model
print(Model.load(sys.argv[1])(["ab", "bz"])["text"])
status = pathlib.Path("/proc/self/status")  # What `resource` says is of the parent, too.
peak = re.search("VmHWM:\\s*(\\d+)", status.read_text()) if status.exists() else None
print(int(peak.group(1)) // 1024 if peak else 0)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that gives its source as its output."""
    folder = tmp_path_factory.mktemp("echo")
    helper, types = onnx.helper, onnx.TensorProto
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    nothing = onnx.numpy_helper.from_array(np.zeros((1, 1), "float32"), "zero")
    graph = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["source_ids", "axis"], ["ids"]),
            helper.make_node("Cast", ["source_ids"], ["numbers"], to=types.FLOAT),
            helper.make_node("ReduceMax", ["numbers", "axis"], ["largest"]),
            helper.make_node("Mul", ["largest", "zero"], ["scores"]),
        ],
        "echo",
        [helper.make_tensor_value_info("source_ids", types.INT32, ["b", "s"])],
        [
            helper.make_tensor_value_info("ids", types.INT32, ["b", 1, "s"]),
            helper.make_tensor_value_info("scores", types.FLOAT, ["b", 1]),
        ],
        [axis, nothing],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), folder / "model.onnx")
    from attnzoo.data import CharacterTokenizer
    from attnzoo.export.description import describe_tokenizer

    side = {"start": None, "end": 3, "padding": 0, "length": 9}
    tokenizer = describe_tokenizer(CharacterTokenizer(WORDS))
    about = {
        "format": 1,
        "task": "seq2seq",
        "files": {"model": "model.onnx"},
        "inputs": [{"name": "source_ids", "dtype": "int32", "shape": [None, None]}],
        "text": {
            "truncate": "cut",
            "source": {**side, "tokenizer": tokenizer},
            "target": {**side, "start": 2, "tokenizer": "source"},
        },
        "labels": None,
        "decoding": {"start": 2, "end": 3, "padding": 0},
    }
    (folder / "attnzoo.json").write_text(json.dumps(about))
    return folder


def run(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def test_it_needs_no_keras_and_little_memory(folder):
    child = run("-c", PROGRAM, folder)
    assert child.returncode == 0, child.stderr
    text, megabytes = child.stdout.splitlines()
    assert text == "['ab', 'b[UNK]']"
    assert int(megabytes) <= 120


def test_the_module_is_the_command(folder):
    child = run("-m", "attnzoo.runtime", folder, "--scores", input="ab\n\nb\n")
    assert child.stdout == "ab\t0.0000\n\nb\t0.0000\n", child.stderr

"""Graphs that run without TensorFlow give what the live model gives."""

import json
import os

import keras
import numpy as np
import pytest

from attnzoo import export, runtime, samplers
from attnzoo.export.formats.litert import write_litert
from attnzoo.export.formats.onnx import write_onnx
from tests.models import tiny

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

# Compared with the live model before it is where it belongs, or an export raises. Elsewhere than on
# TensorFlow a child process writes it.
RUNTIMES, SLOW = ("onnx", "litert"), pytest.mark.slow
SMALL = {"encoder": {"num_layers": 1}}
BEAM = {"num_beams": 3, "num_hypotheses": 2, "length_penalty": 0.7}


def _about(path):
    with open(os.path.join(path, "attnzoo.json"), encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture(scope="module")
def task():
    return tiny.make_task(tiny.make_preprocessor())


@pytest.mark.rotates
def test_a_whole_greedy_decode_is_one_graph(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor())
    path = export.onnx(task, tmp_path / "model")
    assert sorted(os.listdir(path)) == ["attnzoo.json", "model.onnx"]
    live = task.generate(tiny.WORDS, return_scores=True, return_alignments=True)
    found = runtime.Model.load(path)(tiny.WORDS)
    assert found["text"] == live["outputs"]
    np.testing.assert_allclose(found["scores"], live["scores"], atol=1e-4)
    for one, other in zip(found["alignments"], live["alignments"], strict=True):
        np.testing.assert_allclose(one, other[: one.shape[0], : one.shape[1]], atol=1e-4)


@pytest.mark.only("tensorflow")
def test_a_beam_without_a_preprocessor_goes_from_ids_to_ids(tmp_path):
    task = tiny.make_task(cell="gru", attention="luong", bidirectional=False)
    beam = samplers.BeamSampler(**BEAM)
    path = export.onnx(task, tmp_path / "model", sampler=beam, max_length=5)
    about = _about(path)
    assert about["task"] == "seq2seq" and about["text"] is None
    assert about["inputs"] == [{"name": "source_ids", "dtype": "int32", "shape": [None, None]}]
    assert {one["name"]: len(one["shape"]) for one in about["outputs"]} == {
        **{"ids": 3, "scores": 2, "alignments": 3}
    }
    special = {"start": 2, "end": 3, "padding": 0, "max_length": 5}
    expected = {"sampler": "beam", **BEAM, "coverage_penalty": 0.0, **special}
    assert about["decoding"] == expected
    found = runtime.Model.load(path)([[4, 5, 3], [7, 3]])
    assert [len(one) for one in found["scores"]] == [2, 2]


FAMILIES = {
    "classifier": (tiny.make_classifier, {}),
    "tagger": (lambda: tiny.make_transformer("TokenTagger", **SMALL), {}),
    "embedder": (lambda: tiny.make_transformer("SentenceEmbedder", **SMALL), {}),
    "masked_lm": (lambda: tiny.make_transformer("MaskedLM", **SMALL), {"num_candidates": 3}),
    "span_qa": (lambda: tiny.make_transformer("SpanQA", **SMALL), {"max_words": 2}),
    "transformer": (tiny.make_transformer_seq2seq, {}),
}
FAST = ("classifier", "masked_lm", "transformer")  # What the others rest on is in these too.


@pytest.mark.only("tensorflow")
@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def test_every_family_is_a_graph_of_onnx(name, tmp_path):
    make, options = FAMILIES[name]
    path = export.onnx(make(), tmp_path / "model", **options)
    inputs, outputs = (_about(path)[kind] for kind in ("inputs", "outputs"))
    assert all(one["shape"] == [None, None] for one in inputs)
    names = [one["name"] for one in (*inputs, *outputs)]
    assert len(set(names)) == len(names)


@pytest.mark.only("tensorflow")
def test_litert_has_fixed_sizes_and_takes_shorter_sources(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor())
    path = export.litert(task, tmp_path / "model", length=5)  # Samples that fit are compared.
    assert _about(path)["inputs"] == [{"name": "source_ids", "dtype": "int32", "shape": [1, 5]}]
    model = runtime.Model.load(path)
    assert model(["cat", "that"])["text"] == task.generate(["cat", "that"])
    with pytest.raises(ValueError, match="at most 5 tokens"):
        model(["hatch"])


@pytest.mark.slow
@pytest.mark.only("tensorflow")
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_a_graph_of_litert(name, tmp_path):
    make, options = FAMILIES[name]
    task = make()
    path = export.litert(task, tmp_path / "model", batch_size=2, **options)
    assert _about(path)["inputs"][0]["shape"] == [2, tiny.S]


@pytest.mark.only("tensorflow")
@pytest.mark.parametrize(
    ("format", "transformer"),
    [
        ("onnx", False),
        ("litert", False),
        *(pytest.param(one, True, marks=SLOW) for one in RUNTIMES),
    ],
)
def test_a_loop_outside_finds_what_the_live_model_finds(format, transformer, tmp_path):
    task = tiny.make_task(tiny.make_preprocessor())
    if transformer:
        task = tiny.make_transformer_seq2seq()
    beam = samplers.BeamSampler(**BEAM)
    path = export.step(task, tmp_path / "model", format=format, sampler=beam)
    about = _about(path)
    assert about["parts"] == "step" and set(about["files"]) == {"encoder", "step"}
    task.compile(sampler=beam)
    live = task.generate(["cat", "that"], return_scores=True)
    found = runtime.Model.load(path)(["cat", "that"])
    assert found["text"] == live["outputs"]
    np.testing.assert_allclose(found["scores"], live["scores"], atol=1e-4)


@pytest.mark.slow
@pytest.mark.only("tensorflow")
def test_int8_weights_make_a_smaller_graph(tmp_path):
    task = tiny.make_transformer("TokenTagger", encoder={"num_layers": 1, "hidden_dim": 32})
    sizes = []
    for name in ("whole", "int8"):
        if name == "int8":
            task.quantize("int8")
        # Compared with the live model, which has int8 weights too.
        path = export.onnx(task, tmp_path / name, verify=tiny.TEXTS)
        sizes.append(os.path.getsize(os.path.join(path, "model.onnx")))
    assert sizes[1] < sizes[0]
    with pytest.raises(ValueError, match="`attnzoo.export.onnx`. Received: int8 weights"):
        export.litert(task, tmp_path / "model")


# === Bad input ===


@pytest.mark.parametrize(
    ("export_as", "arguments", "message"),
    [
        ("litert", {"length": 0}, "Received: length=0"),
        ("litert", {"batch_size": 0}, "Received: batch_size=0"),
        ("litert", {"length": 2, "verify": ["that"]}, "longer than.*Received: 'that'"),
        ("step", {"format": "savedmodel"}, "Received: format='savedmodel'"),
        ("step", {"length": 5}, "ONNX takes any. Received: length=5"),
        (
            "step",
            {"sampler": samplers.BeamSampler(coverage_penalty=0.2, num_hypotheses=2)},
            "Received: {'coverage_penalty': 0.2}",
        ),
    ],
)
def test_an_argument_that_cannot_be_is_named(export_as, arguments, message, task, tmp_path):
    with pytest.raises(ValueError, match=message):
        getattr(export, export_as)(task, tmp_path / "model", **arguments)
    assert os.listdir(tmp_path) == []


def test_what_does_not_decode_has_no_steps(tmp_path):
    with pytest.raises(ValueError, match="of type RNNTextClassifier"):
        export.step(tiny.make_classifier(), tmp_path / "model")


def test_without_a_preprocessor_litert_needs_a_length(tmp_path):
    with pytest.raises(ValueError, match="Received: length=None"):
        export.litert(tiny.make_task(), tmp_path / "model", max_length=5)


def test_half_precision_is_refused_with_the_way_out(tmp_path):
    task = tiny.make_classifier(dtype="mixed_bfloat16")
    with pytest.raises(ValueError, match='dtype="float32".*Received: .* in bfloat16'):
        export.onnx(task, tmp_path / "model")


@pytest.mark.only("tensorflow")
def test_an_operation_that_a_format_lacks_is_named(tmp_path):
    import tensorflow as tf

    def compute(given):
        return {"digamma": tf.math.digamma(given["x"])}

    signature = {"x": tf.TensorSpec([2], tf.float32, name="x")}
    with pytest.raises(ValueError, match=r"saved_model`. Received: \['Digamma'\]"):
        write_onnx(compute, signature, str(tmp_path / "model.onnx"))
    with pytest.raises(ValueError, match=r"(?s)`attnzoo.export.onnx`.*Digamma"):
        write_litert(compute, signature, str(tmp_path / "model.tflite"))
    assert os.listdir(tmp_path) == []


def test_a_pointer_generator_is_refused_with_the_way_out(tmp_path):
    task = tiny.make_task(pointer_generator=True)
    with pytest.raises(ValueError, match="saved_model`. Received: pointer_generator=True"):
        export.onnx(task, tmp_path / "model", max_length=5)


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"\[onnx\]\"\. Missing: tf2onnx, onnx, onnxruntime"):
        export.onnx(keras.Sequential(), tmp_path / "model")

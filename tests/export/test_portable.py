"""Graphs that run without TensorFlow give what the live model gives."""

import json
import os

import keras
import numpy as np
import pytest

from attnzoo import export, runtime, samplers
from tests.models import tiny

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

# Compared with the live model before it is where it belongs, or an export raises. Elsewhere than on
# TensorFlow a child process writes it.
BEAM = {"num_beams": 3, "num_hypotheses": 2, "length_penalty": 0.7}


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
    with open(os.path.join(path, "attnzoo.json"), encoding="utf-8") as file:
        about = json.load(file)
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


# === Bad input ===


def test_a_pointer_generator_is_refused_with_the_way_out(tmp_path):
    task = tiny.make_task(pointer_generator=True)
    with pytest.raises(ValueError, match="saved_model`. Received: pointer_generator=True"):
        export.onnx(task, tmp_path / "model", max_length=5)


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"\[onnx\]\"\. Missing: tf2onnx, onnx, onnxruntime"):
        export.onnx(keras.Sequential(), tmp_path / "model")

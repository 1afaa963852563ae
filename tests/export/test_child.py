"""Elsewhere than on TensorFlow: a child process writes the SavedModel, and what it may not do."""

import os
import sys

import numpy as np
import pytest

from attnzoo import export, layers
from tests.export.halved import HalvedScore
from tests.models import tiny

pytestmark = pytest.mark.only("jax", "torch")

TEXTS = ["a good film", "not bad", "bad " * 13]


@pytest.fixture(scope="module")
def task():
    """Has a class that the package does not know, and dropouts that an export leaves out."""
    attention = layers.SoftAttention(score=HalvedScore())
    task = tiny.make_task(tiny.make_preprocessor(), attention=attention, dropout=0.5)
    task.compile(jit_compile=False)
    return task


def load(path):
    import tensorflow as tf

    return tf.saved_model.load(path).signatures["serving_default"], tf.constant


def test_what_is_generated_is_what_the_live_model_generates(task, tmp_path):
    signature, constant = load(export.saved_model(task, tmp_path / "model"))
    outputs = signature(text=constant(tiny.WORDS))
    live = task.generate(tiny.WORDS, return_scores=True, return_alignments=True)
    assert [text.decode() for text in outputs["text"].numpy()] == live["outputs"]
    np.testing.assert_allclose(outputs["scores"].numpy(), live["scores"], atol=1e-4)
    found = outputs["alignments"].numpy()
    steps, places = found.shape[1:]
    np.testing.assert_allclose(found, live["alignments"][:, :steps, :places], atol=1e-5)


@pytest.mark.shared("torch")
def test_what_reads_texts_gives_what_the_live_model_gives(tmp_path):
    task = tiny.make_transformer("SentenceEmbedder", encoder={"num_layers": 1})
    # Compared with the live model before it is where it belongs, or this raises.
    signature, constant = load(export.saved_model(task, tmp_path / "model", return_alignments=True))
    outputs = signature(text=constant(TEXTS))
    assert set(outputs) == {
        *("embeddings", "alignments", "pooling_alignments", "tokens", "token_ids"),
    }
    embeddings = outputs["embeddings"].numpy()
    np.testing.assert_allclose(embeddings[:2], task.embed(TEXTS[:2]), atol=1e-5)
    heads = outputs["alignments"].numpy()[:2, ..., :4, :4]
    np.testing.assert_allclose(heads, task.alignments(TEXTS[:2]), atol=1e-5)


def test_a_class_from_the_script_is_refused(task, monkeypatch, tmp_path):
    monkeypatch.setattr(HalvedScore, "__module__", "__main__")
    with pytest.raises(ValueError, match="Received: 'HalvedScore', defined in __main__"):
        export.saved_model(task, tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_what_a_failing_child_says_is_shown(task, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no room left' >&2\nexit 7\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RuntimeError, match="exit status 7(?s:.*)no room left"):
        export.saved_model(task, tmp_path / "model")
    assert os.listdir(tmp_path) == ["python"]

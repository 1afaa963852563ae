"""Monotonic attention in a whole model: trained in expectation, decoded softly or hard."""

import keras
import numpy as np
import pytest

from attnzoo import export, layers, samplers
from tests import tools
from tests.models import tiny


def make_task(kind, **arguments):
    """A task; "hard" walks over the memory, and looks at two places from where it stands."""
    if kind == "hard":
        kind = layers.ChunkwiseAttention(
            "additive",
            units=5,
            window=2,
            inference_mode="hard",
            sigmoid_noise=0.5,
            score_bias_init=1.0,
        )
    task = tiny.make_task(tiny.make_preprocessor(), attention=kind, **arguments)
    kernel, bias = task.output_layer.get_weights()
    bias[: tiny.END] = -30.0  # Text does not show special tokens.
    task.output_layer.set_weights([kernel, bias])
    return task


@pytest.mark.rotates
@pytest.mark.parametrize(("kind", "attend"), [("monotonic", "before"), ("hard", "after")])
def test_it_trains_and_generates(kind, attend):
    task = make_task(kind, attend=attend)
    task.compile(optimizer=keras.optimizers.Adam(1e-2), sampler="greedy")
    before = [tools.to_numpy(weight.value).copy() for weight in task.trainable_weights]
    history = task.fit(tiny.WORDS, tiny.PHONEMES, batch_size=6, epochs=3, verbose=0).history
    assert np.all(np.isfinite(history["loss"])) and history["loss"][-1] < history["loss"][0]
    for weight, old in zip(task.trainable_weights, before, strict=True):
        assert np.any(tools.to_numpy(weight.value) != old), f"no gradient reached {weight.path}"
    found = task.generate(tiny.WORDS, return_alignments=True)
    alignments = np.asarray(found["alignments"])
    assert np.all(alignments.sum(axis=-1) < 1.0 + 1e-5)
    if kind == "hard":
        # Two places have weight at most, and the last of them never goes back.
        assert np.all((alignments > 0.0).sum(axis=-1) <= 2)
        last = np.where(alignments > 0.0, np.arange(alignments.shape[2]), 0).max(axis=-1)
        for example in range(len(tiny.WORDS)):
            assert np.all(np.diff(last[example][alignments[example].sum(axis=-1) > 0.0]) >= 0)
    task.compile(sampler=samplers.BeamSampler(num_beams=3))
    assert len(task.generate(tiny.WORDS)) == len(found["outputs"]) == len(tiny.WORDS)


@pytest.mark.only("tensorflow")
def test_a_walk_over_the_memory_is_exported(tmp_path):
    # It compares what the graph gives with what the model gives: text, scores and alignments.
    task = make_task("hard")
    export.saved_model(task, tmp_path / "model", sampler="beam", verify=["cat", "that"])

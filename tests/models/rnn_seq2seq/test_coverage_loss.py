"""The coverage loss under plain `fit`: what it adds, and what it needs."""

import keras
import numpy as np
import pytest

from attnzoo import layers, samplers
from tests import references, tools
from tests.models import tiny

pytestmark = pytest.mark.shared("tensorflow")

WEIGHT = 30.0  # So much that a step follows its gradient, whatever the targets are.


def batch():
    """Target steps of different number: the second example has one that is padding."""
    inputs = tiny.make_inputs()
    mask = inputs["decoder_padding_mask"]
    targets = np.roll(inputs["decoder_token_ids"], -1, axis=1)
    return inputs, targets.astype("int32"), mask.astype("float32")


def overlap_of(task, inputs):
    with tools.without_compilation():
        _, alignments = task.decode(inputs)
    return references.coverage_loss(tools.to_numpy(alignments), inputs["decoder_padding_mask"])


def test_a_training_step_includes_it_and_an_evaluation_does_not():
    task = tiny.make_task(attention="coverage")
    inputs, targets, weights = batch()
    before = overlap_of(task, inputs)
    assert before > 0.1
    optimizer = keras.optimizers.SGD(1e-3)
    task.compile(optimizer=optimizer, coverage_loss=WEIGHT, weighted_metrics=[])
    tested = task.test_on_batch(inputs, targets, weights)
    trained = task.train_on_batch(inputs, targets, weights)
    assert trained - tested == pytest.approx(WEIGHT * before, rel=1e-4)
    assert overlap_of(task, inputs) < before - 1e-4  # The step went down its gradient.


def test_none_keeps_the_weight_of_the_attention():
    attention = layers.CoverageAttention(7, coverage_loss=0.3, name="attention")
    task = tiny.make_task(attention=attention)
    task.compile()
    assert attention.coverage_loss == 0.3
    task.compile(coverage_loss=0.1)
    assert attention.coverage_loss == 0.1


def test_a_saved_task_has_its_weight(tmp_path):
    task = tiny.make_task(attention="coverage")
    task.compile(coverage_loss=WEIGHT)
    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert loaded.backbone.decoder.cell.attentions[0].coverage_loss == WEIGHT


def test_without_a_coverage_it_is_refused():
    task = tiny.make_task(attention="luong")
    task.compile(coverage_loss=0.0)
    with pytest.raises(
        ValueError, match='`attention="coverage"` .* Received: coverage_loss=30.0 with <LuongAtt'
    ):
        task.compile(coverage_loss=WEIGHT)


def test_a_negative_weight_is_refused():
    task = tiny.make_task(attention="coverage")
    with pytest.raises(ValueError, match="Received: coverage_loss=-1.0"):
        task.compile(coverage_loss=-1.0)


@pytest.mark.parametrize("name", ["coverage", "location_sensitive"])
def test_such_a_model_trains_and_generates_with_every_sampler(name):
    task = tiny.make_task(tiny.make_preprocessor(), attention=name)
    task.compile()
    task.fit(tiny.WORDS, tiny.PHONEMES, epochs=1, batch_size=3, verbose=0)
    for sampler in ("greedy", samplers.BeamSampler(2)):
        task.compile(sampler=sampler)
        results = task.generate(["cat", "that"], return_alignments=True)
        assert [type(output) for output in results["outputs"]] == [str, str]
        sums = results["alignments"].sum(axis=-1)
        np.testing.assert_allclose(sums[sums > 0.0], 1.0, rtol=1e-5)

"""Exact hard attention in a whole model: what it learns, how it decodes, how it is kept."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import export, layers, models, samplers
from attnzoo.ops import marginal
from tests import references, tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")


def batch():
    inputs = tiny.make_inputs()
    targets = np.roll(inputs["decoder_token_ids"], -1, axis=1).astype("int32")
    return inputs, targets, inputs["decoder_padding_mask"].astype("float32")


def enumerated(task, inputs, targets, weights):
    """The loss in nats a token, from all alignments of each target, one by one."""
    with tools.without_compilation():
        decoded = tools.to_numpy(task.backbone(inputs))
    head = tools.weights_of(task.output_layer)
    log_probs = references.log_probs_at_each_place(
        decoded["decoder_sequence_output"] @ head["query_kernel"],
        decoded["encoder_sequence_output"] @ head["memory_kernel"],
        head["kernel"],
        head["bias"],
    )
    nats = 0.0
    for row in range(len(targets)):
        steps, places = int(weights[row].sum()), int(inputs["encoder_padding_mask"][row].sum())
        nats += references.enumerated_loss(
            decoded["alignments"][row, :steps, :places],
            log_probs[row, :steps, :places],
            targets[row, :steps],
        )
    return nats / weights.sum()


@pytest.mark.parametrize("elements", [None, 64])
def test_the_loss_sums_over_all_alignments(monkeypatch, elements):
    if elements is not None:
        monkeypatch.setattr(marginal, "_WHOLE_ELEMENTS", 0)
        monkeypatch.setattr(marginal, "_BLOCK_ELEMENTS", elements)
    task = tiny.make_task(attention="hard_exact")
    inputs, targets, weights = batch()
    expected = enumerated(task, inputs, targets, weights)
    task.compile(optimizer=keras.optimizers.SGD(0.1), weighted_metrics=[])
    np.testing.assert_allclose(task.test_on_batch(inputs, targets, weights), expected, rtol=1e-5)
    np.testing.assert_allclose(task.train_on_batch(inputs, targets, weights), expected, rtol=1e-5)
    # The step went down the gradient of the enumerated sum.
    assert enumerated(task, inputs, targets, weights) < expected - 1e-2


def test_it_learns_and_decodes_with_every_sampler():
    task = tiny.make_task(tiny.make_preprocessor(), scale=0.5, attention="hard_exact")
    task.compile(optimizer=keras.optimizers.Adam(3e-2))
    words, phonemes = tiny.WORDS * 5, tiny.PHONEMES * 5
    fitted = task.fit(words, phonemes, batch_size=6, epochs=12, shuffle=False, verbose=0)
    losses = fitted.history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    greedy = task.generate(tiny.WORDS, return_scores=True, return_alignments=True)
    assert np.mean([a == b for a, b in zip(greedy["outputs"], tiny.PHONEMES, strict=True)]) > 0.6
    sums = greedy["alignments"].sum(axis=-1)
    np.testing.assert_allclose(sums[sums > 0.0], 1.0, rtol=1e-5)
    task.compile(sampler=samplers.BeamSampler(num_beams=3, coverage_penalty=0.1))
    assert len(task.generate(tiny.WORDS)) == len(tiny.WORDS)
    task.compile(sampler=samplers.BeamSampler(num_beams=3))
    beam = task.generate(tiny.WORDS, return_scores=True)
    assert np.all(beam["scores"] >= greedy["scores"] - 1e-4)


def test_logits_are_log_probabilities():
    task = tiny.make_task(attention="hard_exact")
    probabilities = np.exp(tools.to_numpy(task(tiny.make_inputs())))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)


def test_files_and_presets_keep_it(tmp_path):
    task = tiny.make_task(
        tiny.make_preprocessor(), attention=layers.ExactHardAttention("dot"), dropout=0.3
    )
    task.compile(jit_compile=False)
    inputs = tiny.make_inputs()
    expected = task(inputs)
    task.save(tmp_path / "task.keras")
    task.save_to_preset(str(tmp_path / "preset"))
    for again in (
        keras.saving.load_model(tmp_path / "task.keras"),
        models.RNNSeq2SeqLM.from_preset(str(tmp_path / "preset")),
    ):
        assert type(again.backbone.decoder.cell.attentions[0]) is layers.ExactHardAttention
        assert again.output_layer.dropout == 0.3
        tools.assert_close(again(inputs), expected, tolerance=1e-6)


@pytest.mark.shared("tensorflow")
def test_it_is_exported(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), attention="hard_exact")
    # It compares what the graph gives with what the model gives, beam and alignments too.
    export.saved_model(task, tmp_path / "model", sampler="beam", verify=["cat", "that"])


def test_half_precision_trains_and_says_nearly_the_same():
    inputs, targets, weights = batch()
    expected = tiny.make_task(attention="hard_exact")(inputs)
    task = tiny.make_task(attention="hard_exact", dtype="mixed_bfloat16", dropout=0.1)
    assert keras.backend.standardize_dtype(task(inputs).dtype) == "bfloat16"
    tools.assert_close(ops.cast(task(inputs), "float32"), expected, tolerance=0.1)
    before = [tools.to_numpy(weight.value).copy() for weight in task.trainable_weights]
    task.compile(optimizer=keras.optimizers.Adam(1e-2))
    task.train_on_batch(inputs, targets, weights)
    for weight, old in zip(task.trainable_weights, before, strict=True):
        new = tools.to_numpy(weight.value)
        assert np.all(np.isfinite(new)) and np.any(new != old), weight.path


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"input_feeding": True}, "input_feeding=True"),
        ({"attend": "before"}, "attend='before'"),
        ({"tie_embeddings": True}, "tie_embeddings=True with attention='hard_exact'"),
    ],
)
def test_what_it_cannot_go_with_is_refused_with_a_remedy(arguments, received):
    with pytest.raises(ValueError, match=f"use `.*False`.* Received: .*{received}"):
        tiny.make_task(attention="hard_exact", **arguments)

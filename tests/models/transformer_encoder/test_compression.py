"""Low rank and eight bits, as Keras gives them: they train, and survive presets and files."""

import warnings

import keras
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

TEXTS, LABELS = tiny.TEXTS, tiny.SENTIMENTS
ATTENTIONS = {
    f"block_{i}/self_attention/{name}" for i in range(3) for name in ("query", "key", "value")
}
DENSE = {
    *ATTENTIONS,
    *(f"block_{i}/self_attention/attention_output" for i in range(3)),
    *(f"block_{i}/feed_forward/{name}" for i in range(3) for name in ("hidden", "output")),
}
ADAPTED = {path for path in ATTENTIONS if not path.endswith("key")}


def probabilities(task):
    return task.classify(TEXTS, return_probabilities=True)["probabilities"]


def quantized(task):
    return {one.path for one in task._flatten_layers() if one.quantization_mode == "int8"}


@pytest.mark.shared("jax")
def test_low_rank_adapts_queries_and_values(tmp_path):
    task = tiny.make_transformer("TextClassifier", scale=0.3)
    untouched = probabilities(task)
    task.backbone.enable_lora(2)
    np.testing.assert_allclose(probabilities(task), untouched, atol=1e-6)  # One factor is zero.
    task.compile(keras.optimizers.Adam(0.05))
    factors = {f"{path}/lora_kernel_{one}" for path in ADAPTED for one in "ab"}
    assert {weight.path for weight in task.trainable_variables} == {
        *factors,
        "class_logits/kernel",
        "class_logits/bias",
    }
    before = [tools.to_numpy(w.value).copy() for w in task.backbone.non_trainable_variables]
    task.fit(TEXTS, LABELS, epochs=2, verbose=0)
    for one, weight in zip(before, task.backbone.non_trainable_variables, strict=True):
        if "float" in str(one.dtype):
            np.testing.assert_array_equal(one, tools.to_numpy(weight.value))
    adapted = probabilities(task)
    assert np.abs(adapted - untouched).max() > 1e-3
    # The low-rank weights alone are a file.
    task.backbone.save_lora_weights(tmp_path / "films.lora.h5")
    fresh = tiny.make_transformer("TextClassifier", scale=0.3)
    fresh.output_dense.set_weights(task.output_dense.get_weights())
    fresh.backbone.load_lora_weights(tmp_path / "films.lora.h5")
    np.testing.assert_allclose(probabilities(fresh), adapted, atol=1e-6)
    # A preset has the sum, and is an ordinary one.
    task.save_to_preset(str(tmp_path / "preset"))
    again = models.TransformerTextClassifier.from_preset(tmp_path / "preset")
    assert not again.backbone.blocks[0].self_attention.query_dense.lora_enabled
    np.testing.assert_allclose(probabilities(again), adapted, atol=1e-5)


@pytest.mark.shared("torch")
def test_eight_bits_survive_a_preset_of_a_preset_and_a_file(tmp_path):
    task = tiny.make_transformer("TextClassifier", scale=0.3)
    before = probabilities(task)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras's, of layers that it cannot quantize.
        task.quantize("int8")
    layers = {"token_embedding", "class_logits", *DENSE}
    assert quantized(task) == layers
    expected = probabilities(task)
    assert 0 < np.abs(expected - before).max() < 0.05
    task.save_to_preset(str(tmp_path / "first"))
    again = models.TransformerTextClassifier.from_preset(tmp_path / "first")
    again.save_to_preset(str(tmp_path / "second"))
    again.save(tmp_path / "task.keras")
    for loaded in (
        again,
        models.TransformerTextClassifier.from_preset(tmp_path / "second"),
        keras.saving.load_model(tmp_path / "task.keras"),
    ):
        assert quantized(loaded) == layers
        np.testing.assert_array_equal(probabilities(loaded), expected)


@pytest.mark.rotates
@pytest.mark.parametrize("name", ["TokenTagger", "MaskedLM"])
def test_the_others_may_be_quantized_too(name, tmp_path):
    task = tiny.make_transformer(name, scale=0.3)
    task.quantize("int8")
    head = "tag_logits" if name == "TokenTagger" else "masked_lm_head/intermediate_dense"
    assert quantized(task) == {"token_embedding", head, *DENSE}
    task.save_to_preset(str(tmp_path / "first"))
    again = type(task).from_preset(tmp_path / "first")
    again.save_to_preset(str(tmp_path / "second"))
    again = type(task).from_preset(tmp_path / "second")
    assert quantized(again) == quantized(task)
    run = (
        (lambda one: one.tag(TEXTS, return_probabilities=True)["probabilities"][0].tolist())
        if (name == "TokenTagger")
        else (lambda one: one.fill("a [MASK] film", num_candidates=7, return_probabilities=True))
    )
    assert run(again) == run(task)

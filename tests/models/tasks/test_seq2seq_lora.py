"""Low rank, as Keras gives it, in the sequence-to-sequence families: it trains, and is kept."""

import keras
import numpy as np
import pytest

from attnzoo import data, models
from attnzoo.models.tasks.pairs import pack_pairs
from tests import tools
from tests.models import tiny

EMBEDDINGS = {
    f"{side}_embedding/lora_embeddings_{factor}" for side in ("source", "target") for factor in "ab"
}


def make_transformer():
    backbone = models.TransformerSeq2SeqBackbone(
        tiny.SOURCE_VOCABULARY,
        tiny.TARGET_VOCABULARY,
        hidden_dim=8,
        num_heads=2,
        num_encoder_layers=1,
        num_decoder_layers=1,
        dropout=0.0,
    )
    preprocessor = models.TransformerSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(tiny.WORDS),
        data.SymbolTokenizer.from_texts(tiny.PHONEMES),
        encoder_sequence_length=tiny.S,
        decoder_sequence_length=tiny.T,
    )
    task = models.TransformerSeq2SeqLM(backbone, preprocessor)
    tools.set_weights(task, scale=0.5)
    return task


TASKS = {
    "rnn": lambda: tiny.make_task(tiny.make_preprocessor()),
    "rnn_tied": lambda: tiny.make_task(tiny.make_preprocessor(), tie_embeddings=True),
    "transformer": make_transformer,
}


def probabilities(task):
    """exp(score) of the six words' pronunciations, given."""
    inputs = pack_pairs(task, (tiny.WORDS, tiny.PHONEMES))
    return np.exp(task.replay_on_batch(inputs)["scores"] / tiny.T)


def frozen(task):
    weights = task.backbone.non_trainable_variables
    return [np.array(tools.to_numpy(w.value)) for w in weights if "float" in str(w.dtype)]


@pytest.mark.rotates
@pytest.mark.parametrize("name", TASKS)
def test_training_changes_the_low_rank_weights_alone_and_a_preset_keeps_them(name, tmp_path):
    task = TASKS[name]()
    untouched = probabilities(task)
    task.backbone.enable_lora(2)
    np.testing.assert_allclose(probabilities(task), untouched, atol=1e-6)  # One factor is zero.
    adapted = task.backbone.trainable_variables
    if name == "transformer":
        assert {w.path.split("/")[-1] for w in adapted} == {"lora_kernel_a", "lora_kernel_b"}
    else:
        assert {w.path for w in adapted} == EMBEDDINGS
    task.compile(keras.optimizers.Adam(0.05))
    before, low = frozen(task), [np.array(tools.to_numpy(w.value)) for w in adapted]
    task.fit(tiny.WORDS, tiny.PHONEMES, epochs=3, verbose=0)
    for one, other in zip(before, frozen(task), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, weight in zip(low, adapted, strict=True):
        assert np.abs(one - tools.to_numpy(weight.value)).max() > 0, weight.path
    found = probabilities(task)
    assert np.abs(found - untouched).max() > 1e-3
    # A preset has the sum, and is an ordinary one.
    task.save_to_preset(str(tmp_path))
    again = type(task).from_preset(tmp_path)
    assert not any(getattr(one, "lora_enabled", False) for one in again._flatten_layers())
    np.testing.assert_allclose(probabilities(again), found, atol=1e-5)
    assert again.generate(tiny.WORDS) == task.generate(tiny.WORDS)


@pytest.mark.shared("torch")
def test_low_rank_weights_of_a_transformer_are_a_file(tmp_path):
    task, other = make_transformer(), make_transformer()
    task.backbone.enable_lora(2)
    task.output_layer.trainable = False
    task.compile(keras.optimizers.Adam(0.05))
    task.fit(tiny.WORDS, tiny.PHONEMES, epochs=2, verbose=0)
    task.backbone.save_lora_weights(tmp_path / "words.lora.h5")
    stale = probabilities(other)
    other.backbone.load_lora_weights(tmp_path / "words.lora.h5")
    np.testing.assert_allclose(probabilities(other), probabilities(task), atol=1e-6)
    assert np.abs(stale - probabilities(other)).max() > 1e-3


def test_keras_hub_cannot_save_the_low_rank_weights_of_embeddings():
    backbone = tiny.make_task().backbone
    for method in (backbone.save_lora_weights, backbone.load_lora_weights):
        with pytest.raises(NotImplementedError, match="save_to_preset.* filepath='x.lora.h5'"):
            method("x.lora.h5")

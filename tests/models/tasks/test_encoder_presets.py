"""Saving and loading of classifiers and taggers; low rank and eight bits as Keras gives them."""

import warnings

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import models, presets, training
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS, LABELS = tiny.TEXTS, tiny.SENTIMENTS


def probabilities(task):
    return task.classify(TEXTS, return_probabilities=True)["probabilities"]


def quantized(task):
    """The layers that are in eight bits, of the task and of its backbone."""
    layers = [*task.layers, *task.backbone.layers]
    return {layer.name for layer in layers if layer.quantization_mode == "int8"}


@pytest.fixture(scope="module")
def task():
    task = tiny.make_classifier(num_hops=2, penalty=0.1)
    task.compile(keras.optimizers.Adam(0.02), label_smoothing=0.1)
    return task


@pytest.fixture(scope="module")
def preset(task, tmp_path_factory):
    place = tmp_path_factory.mktemp("preset")
    task.save_to_preset(str(place))
    return place


@pytest.mark.everywhere
def test_a_preset_gives_the_same_classifier_again(task, preset):
    for again in (
        models.RNNTextClassifier.from_preset(preset),
        keras_hub.models.TextClassifier.from_preset(str(preset)),
    ):
        assert type(again) is models.RNNTextClassifier
        np.testing.assert_array_equal(probabilities(again), probabilities(task))
        assert again.class_names == tiny.CLASSES
        assert again.pooling.penalty == 0.1
        assert again.preprocessor.tokens("a film") == ["a", "film", "[END]"]
        assert again.preprocessor.sequence_length == tiny.S


def test_a_preset_gives_the_same_tagger_again(tmp_path):
    task = tiny.make_tagger()
    task.save_to_preset(str(tmp_path))
    again = models.RNNTokenTagger.from_preset(tmp_path)
    assert again.class_names == tiny.TAG_NAMES
    assert again.tag(TEXTS) == task.tag(TEXTS)


def test_its_parts_load_alone(task, preset):
    backbone = models.RNNEncoderBackbone.from_preset(str(preset))
    for one, other in zip(backbone.get_weights(), task.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    preprocessor = models.RNNTextClassifierPreprocessor.from_preset(str(preset))
    assert preprocessor.tokens("a film") == ["a", "film", "[END]"]


def test_a_preset_may_get_other_classes(task, preset):
    for arguments in ({"class_names": ["no", "yes"]}, {"num_classes": 2}):
        again = models.RNNTextClassifier.from_preset(preset, **arguments)
        assert again.num_classes == 2
        assert again.class_names == arguments.get("class_names")
        for one, other in zip(again.backbone.weights, task.backbone.weights, strict=True):
            tools.assert_close(one, other, tolerance=0.0)
        assert probabilities(again).shape == (6, 2)


@pytest.mark.parametrize("name", ["TextClassifier", "SentenceEmbedder"])
def test_a_preset_keeps_its_pooling(name, tmp_path):
    tiny.make_transformer(name, pooling="mean").save_to_preset(str(tmp_path))
    cls = getattr(models, f"Transformer{name}")
    with pytest.raises(ValueError, match="^`pooling` must .* 'mean', .* Received: pooling='atte"):
        cls.from_preset(tmp_path, pooling="attention")
    assert cls.from_preset(tmp_path, pooling="mean").pooling == "mean"


def test_another_head_needs_classes_of_its_own(preset):
    with pytest.raises(ValueError, match="^`num_hops` must be the preset's, 2, .* num_hops=3"):
        models.RNNTextClassifier.from_preset(preset, num_hops=3)
    again = models.RNNTextClassifier.from_preset(preset, num_hops=3, num_classes=4)
    assert (again.num_hops, again.num_classes) == (3, 4)


def test_a_tagger_may_start_from_a_classifier(task, preset):
    tagger = models.RNNTokenTagger.from_preset(preset, class_names=tiny.TAG_NAMES)
    assert [len(tags) for tags in tagger.tag(TEXTS)] == [len(text.split()) for text in TEXTS]
    for one, other in zip(tagger.backbone.weights, task.backbone.weights, strict=True):
        tools.assert_close(one, other, tolerance=0.0)


def test_a_classifier_without_a_preprocessor_survives_its_preset(tmp_path):
    task = tiny.make_classifier(None)
    task.save_to_preset(str(tmp_path))
    again = models.RNNTextClassifier.from_preset(tmp_path)
    assert again.preprocessor is None
    inputs = tiny.make_text_inputs()
    tools.assert_close(again(inputs), task(inputs), tolerance=1e-6)


def test_a_preset_keeps_its_mixed_precision_and_may_come_in_another(preset, tmp_path):
    task = tiny.make_classifier(dtype="mixed_bfloat16")
    task.save_to_preset(str(tmp_path))
    assert models.RNNTextClassifier.from_preset(tmp_path).backbone.compute_dtype == "bfloat16"
    again = models.RNNTextClassifier.from_preset(preset, dtype="mixed_bfloat16")
    assert again.output_dense.compute_dtype == "bfloat16"
    assert again.output_dense.variable_dtype == "float32"


def test_names_and_damage_are_told(monkeypatch, task, preset, tmp_path):
    monkeypatch.setitem(presets.PRESETS, "rnn_tiny_films", preset)
    again = models.RNNTextClassifier.from_preset("rnn_tiny_films")
    np.testing.assert_array_equal(probabilities(again), probabilities(task))
    with pytest.raises(ValueError, match="'rnn_tiny_films'.*Received: preset='rnn_tiny_flims'"):
        models.RNNTextClassifier.from_preset("rnn_tiny_flims")
    with pytest.raises(ValueError, match=r"holds no preset.*which holds \[\]"):
        models.RNNTextClassifier.from_preset(tmp_path)


@pytest.mark.everywhere
def test_a_keras_file_gives_the_same_task_again_compiled_as_it_was(tmp_path):
    task = tiny.make_classifier(num_hops=2)
    task.compile(keras.optimizers.Adam(0.02), label_smoothing=0.1)
    batch = np.array(TEXTS), np.array(LABELS)
    task.train_on_batch(*batch)
    task.save(tmp_path / "task.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = keras.saving.load_model(tmp_path / "task.keras")
    np.testing.assert_array_equal(probabilities(again), probabilities(task))
    assert again.get_compile_config() == task.get_compile_config()
    assert isinstance(again.loss, training.SmoothedCrossEntropy)
    assert again.loss.smoothing == 0.1
    assert again.jit_compile == task.jit_compile
    assert int(again.optimizer.iterations) == 1
    for one in (task, again):
        one.train_on_batch(*batch)
    np.testing.assert_allclose(probabilities(again), probabilities(task), atol=1e-5)


# === Low rank ===


def test_low_rank_adapts_the_embedding_and_what_stands_on_the_backbone(tmp_path):
    task = tiny.make_classifier(scale=0.3)
    untouched = probabilities(task)
    task.backbone.enable_lora(2)
    np.testing.assert_allclose(probabilities(task), untouched, atol=1e-6)  # One factor is zero.
    task.compile(keras.optimizers.Adam(0.05))
    assert {weight.path for weight in task.trainable_variables} == {
        "token_embedding/lora_embeddings_a",
        "token_embedding/lora_embeddings_b",
        "pooling/kernel",
        "pooling/bias",
        "pooling/v",
        "class_logits/kernel",
        "class_logits/bias",
    }
    frozen = [np.array(tools.to_numpy(w.value)) for w in task.backbone.encoder.weights]
    task.fit(TEXTS, LABELS, epochs=2, verbose=0)
    for before, after in zip(frozen, task.backbone.encoder.weights, strict=True):
        np.testing.assert_array_equal(before, tools.to_numpy(after.value))
    assert np.abs(tools.to_numpy(task.backbone.token_embedding.lora_embeddings_b.value)).max() > 0
    adapted = probabilities(task)
    assert np.abs(adapted - untouched).max() > 1e-3
    # A preset has the sum, and is an ordinary one.
    task.save_to_preset(str(tmp_path))
    again = models.RNNTextClassifier.from_preset(tmp_path)
    assert not again.backbone.token_embedding.lora_enabled
    np.testing.assert_allclose(probabilities(again), adapted, atol=1e-6)


# === Eight bits ===


@pytest.fixture(scope="module")
def small():
    """A quantized task, and what it said before."""
    task = tiny.make_classifier(num_hops=2)
    before = probabilities(task)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras's, of layers that it cannot quantize.
        task.quantize("int8")
    return task, before


@pytest.mark.everywhere
def test_eight_bits_say_nearly_the_same(small):
    task, before = small
    assert quantized(task) == {"token_embedding", "class_logits"}
    assert task.backbone.token_embedding.embeddings.dtype == "int8"
    difference = np.abs(probabilities(task) - before).max()
    assert 0 < difference < 0.02


def test_eight_bits_survive_a_preset_of_a_preset_and_a_file(small, tmp_path):
    task, _ = small
    expected = probabilities(task)
    task.save_to_preset(str(tmp_path / "first"))
    again = models.RNNTextClassifier.from_preset(tmp_path / "first")
    again.save_to_preset(str(tmp_path / "second"))
    again.save(tmp_path / "task.keras")
    for loaded in (
        again,
        keras_hub.models.TextClassifier.from_preset(str(tmp_path / "first")),
        models.RNNTextClassifier.from_preset(tmp_path / "second"),
        keras.saving.load_model(tmp_path / "task.keras"),
    ):
        assert quantized(loaded) == {"token_embedding", "class_logits"}
        np.testing.assert_array_equal(probabilities(loaded), expected)


def test_a_tagger_may_be_quantized_too(tmp_path):
    task = tiny.make_tagger()
    task.quantize("int8")
    assert quantized(task) == {"token_embedding", "tag_logits"}
    task.save_to_preset(str(tmp_path))
    again = models.RNNTokenTagger.from_preset(tmp_path)
    assert quantized(again) == quantized(task)
    assert again.tag(TEXTS) == task.tag(TEXTS)


def test_only_some_layers_may_be_quantized():
    task = tiny.make_classifier(None)
    task.quantize("int8", filters="embedding")
    assert quantized(task) == {"token_embedding"}

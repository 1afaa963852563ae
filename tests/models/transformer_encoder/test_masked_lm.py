"""The masked language model: it learns from texts alone, and other tasks start from it."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = tiny.TEXTS


class Batches(keras.utils.PyDataset):
    """Ids, hidden anew each time, in one order; a `tf.data.Dataset` hides several at once."""

    def __init__(self, preprocessor):
        super().__init__()
        self.preprocessor = preprocessor

    def __len__(self):
        return 100

    def __getitem__(self, index):
        return self.preprocessor([TEXTS[i] for i in (0, 1, 4)] * 8)


@pytest.fixture(scope="module")
def task():
    """It has seen three short texts often enough to know what stands beside what."""
    keras.utils.set_random_seed(3)
    task = tiny.make_transformer("MaskedLM", encoder={"hidden_dim": 16}, scale=0.2)
    task.compile(keras.optimizers.Adam(0.01))
    with tools.traced():
        loss = task.fit(Batches(task.preprocessor), epochs=3, verbose=0).history["loss"]
    assert loss[-1] < 0.5 * loss[0]
    return task


@pytest.fixture(scope="module")
def preset(task, tmp_path_factory):
    place = tmp_path_factory.mktemp("language")
    task.save_to_preset(str(place))
    return place


@pytest.mark.everywhere
def test_its_logits_are_those_of_the_hidden_places_alone():
    task = tiny.make_transformer("MaskedLM", None)
    inputs = tiny.make_text_inputs()
    some = np.array([[4, 0], [1, 1]], "int32")
    every = np.tile(np.arange(5, dtype="int32"), (2, 1))
    run = tools.compiled(task)
    logits, everywhere = (
        tools.to_numpy(run({**inputs, "mask_positions": places})) for places in (some, every)
    )
    assert logits.shape == (2, 2, 12)
    expected = np.stack([everywhere[0, [4, 0]], everywhere[1, [1, 1]]])
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.everywhere
def test_it_fills_in_what_it_learned(task):
    assert task.fill("not bad at [MASK]") == [["all"]]
    found = task.fill(
        ["a [MASK] film", "not [MASK] at [MASK]"], num_candidates=7, return_probabilities=True
    )
    assert [len(masks) for masks in found["tokens"]] == [1, 2]
    assert {"good", "bad"} & set(found["tokens"][0][0][:2])
    assert sorted(found["tokens"][0][0]) == sorted(tiny.make_text_tokenizer().get_vocabulary()[4:])
    chances = np.array(found["probabilities"][1])
    assert (np.diff(chances, axis=-1) <= 0).all() and (chances.sum(axis=-1) <= 1 + 1e-5).all()
    in_batches = task.fill(["a [MASK] film", "[MASK] bad [MASK]"], batch_size=1)
    assert in_batches == task.fill(["a [MASK] film", "[MASK] bad [MASK]"])


def test_it_validates_on_datasets_too(task):
    tf = pytest.importorskip("tensorflow")
    clone = models.TransformerMaskedLM(task.backbone, task.preprocessor)
    clone.compile("sgd", run_eagerly=True)
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS).batch(6)
    history = clone.fit(TEXTS, validation_data=dataset, verbose=0).history
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(history)
    assert len(clone.evaluate(TEXTS, verbose=0)) == 2
    history = clone.fit(TEXTS, validation_split=0.34, validation_data=None, verbose=0).history
    assert "val_loss" in history


def test_alignments_are_of_texts_with_nothing_hidden(task):
    alignments = task.alignments(["a good film", "good"])
    assert alignments.shape == (2, 3, 2, 4, 4)
    np.testing.assert_allclose(alignments[0].sum(axis=-1), 1, rtol=1e-5)
    again = models.TransformerTextClassifier(
        task.backbone, tiny.make_transformer("TextClassifier").preprocessor, num_classes=2
    )
    np.testing.assert_allclose(again.alignments(["a good film", "good"]), alignments, atol=1e-5)


def test_what_does_not_fit_is_refused(task):
    with pytest.raises(ValueError, match="`y` must be None. Received: y of type list"):
        task.fit(["a"], [1])
    with pytest.raises(ValueError, match="^Every hidden .* Received: sample_weight of type list"):
        task.fit(["a"], sample_weight=[1.0])
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 0"):
        task.fit([""])
    with pytest.raises(ValueError, match="Received: 'a' at position 0"):
        task.fill("a")
    with pytest.raises(ValueError, match=r"in \[1, 7\]. Received: num_candidates=8"):
        task.fill("[MASK]", num_candidates=8)
    with pytest.raises(ValueError, match="^There must be at least one text. Received: none"):
        task.fill([])
    with pytest.raises(ValueError, match="^`batch_size` must .* Received: batch_size=-1"):
        task.fill("[MASK]", batch_size=-1)
    with pytest.raises(ValueError, match="Received: preprocessor=None"):
        models.TransformerMaskedLM(task.backbone).fill("[MASK]")


# === Presets ===


def test_a_preset_gives_the_same_model_again(task, preset):
    for cls in (models.TransformerMaskedLM, keras_hub.models.MaskedLM):
        again = cls.from_preset(str(preset))
        assert type(again) is models.TransformerMaskedLM
        texts = ["a [MASK] film", "not [MASK]"]
        assert again.fill(texts, return_probabilities=True) == task.fill(
            texts, return_probabilities=True
        )


def test_other_tasks_start_from_it(task, preset):
    classifier = models.TransformerTextClassifier.from_preset(preset, num_classes=2)
    named = models.TransformerTextClassifier.from_preset(preset, class_names=tiny.CLASSES)
    tagger = models.TransformerTokenTagger.from_preset(preset, class_names=tiny.TAG_NAMES)
    for other in (classifier, named, tagger):
        assert other.preprocessor.sequence_length == tiny.S
        assert type(other.preprocessor) is other.preprocessor_cls
        for one, weight in zip(other.backbone.weights, task.backbone.weights, strict=True):
            tools.assert_close(one.value, weight.value, tolerance=0.0)
    named.compile(keras.optimizers.Adam(0.01))
    named.fit(TEXTS * 10, tiny.SENTIMENTS * 10, batch_size=6, epochs=4, verbose=0)
    assert named.classify(TEXTS) == tiny.SENTIMENTS
    assert [len(tags) for tags in tagger.tag(TEXTS)] == [len(text.split()) for text in TEXTS]


def test_a_keras_file_gives_the_same_model_again(task, tmp_path):
    task.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    assert again.fill("a [MASK] film") == task.fill("a [MASK] film")
    assert again.get_compile_config() == task.get_compile_config()


@pytest.mark.everywhere
@pytest.mark.graph  # Eagerly, KerasHub adds a float32 bias to what is bfloat16.
def test_it_trains_in_mixed_precision():
    task = tiny.make_transformer("MaskedLM", encoder={"dtype": "mixed_bfloat16"}, scale=0.2)
    assert np.isfinite(task.train_on_batch(np.array(TEXTS))[0])
    assert all(v.dtype == "float32" for v in task.trainable_variables)

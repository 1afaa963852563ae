"""The embedder gives vectors of unit length, near for texts that belong together."""

import keras
import numpy as np
import pytest

from attnzoo import models, training
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = ["a good film", "bad bad film", "not bad at all", "a film"]
PARTNERS = ["good", "a bad film", "not at all", "film film"]


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(1)
    task = tiny.make_transformer("SentenceEmbedder", encoder={"hidden_dim": 16}, scale=0.2)
    task.compile(keras.optimizers.Adam(0.01))
    first = task.fit(TEXTS, PARTNERS, validation_data=(TEXTS, PARTNERS), verbose=0).history
    assert {"accuracy", "val_loss", "val_accuracy"} <= set(first)
    last = task.fit(TEXTS, PARTNERS, epochs=29, verbose=0).history
    assert last["loss"][-1] < first["loss"][0]
    return task


@pytest.mark.shared("jax")
def test_it_has_learned_what_belongs_together(task):
    similarity = task.similarity(TEXTS, PARTNERS)
    assert similarity.shape == (4, 4)
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.abs(similarity).max() <= 1.0
    assert task.evaluate(TEXTS, PARTNERS, verbose=0)[1] == 1.0
    np.testing.assert_allclose(task.similarity(TEXTS[0], TEXTS[0]), [[1.0]], atol=1e-5)


@pytest.mark.shared("jax")
def test_vectors_are_of_unit_length_and_company_changes_nothing(task):
    vectors = task.embed(TEXTS)
    assert vectors.shape == (4, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(task.embed(TEXTS[3]), vectors[3], atol=1e-5)
    np.testing.assert_allclose(task.embed(TEXTS, batch_size=3), vectors, atol=1e-5)
    np.testing.assert_allclose(task.predict(TEXTS, verbose=0), vectors, atol=1e-5)
    alignments = task.alignments(TEXTS)
    assert alignments.shape == (4, 3, 2, 5, 5)
    np.testing.assert_allclose(alignments[2].sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["attention", "mean", "first"])
def test_more_padding_changes_nothing(pooling):
    task = tiny.make_transformer("SentenceEmbedder", None, pooling=pooling)
    run = tools.compiled(task)
    few, more = (run(tiny.make_text_inputs(places=n)) for n in (5, 7))
    tools.assert_close(more, few, tolerance=1e-4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert again.pooling == pooling


def test_a_preset_and_eight_bits_keep_the_vectors(task, tmp_path):
    task.save_to_preset(str(tmp_path / "first"))
    again = models.TransformerSentenceEmbedder.from_preset(tmp_path / "first")
    np.testing.assert_allclose(again.embed(TEXTS), task.embed(TEXTS), atol=1e-6)
    again.quantize("int8")
    small = again.embed(TEXTS)
    assert (small * task.embed(TEXTS)).sum(axis=-1).min() > 0.95
    again.save_to_preset(str(tmp_path / "second"))
    third = models.TransformerSentenceEmbedder.from_preset(tmp_path / "second")
    np.testing.assert_array_equal(third.embed(TEXTS), small)


def test_pairs_may_have_weights(task):
    weights = np.array([0.0, 2.0, 0.0, 0.0])
    found = task.evaluate(TEXTS, PARTNERS, sample_weight=weights, verbose=0)[0]
    packed, pairs = task.preprocessor.pack_pairs(TEXTS, PARTNERS)
    losses = training.InBatchNegatives(reduction=None)(pairs, task(packed))
    assert found == pytest.approx(np.mean(tools.to_numpy(losses)[[1, 5]]), rel=1e-4)


def test_ids_keep_their_order_for_partners_stand_side_by_side(task):
    packed, pairs = task.preprocessor.pack_pairs(TEXTS, PARTNERS)
    inputs = {name: tools.to_numpy(value) for name, value in packed.items()}
    alone = models.TransformerSentenceEmbedder(task.backbone)
    alone.compile(keras.optimizers.SGD(0.0))
    order = np.argsort(tools.to_numpy(pairs), kind="stable")
    inputs = {name: value[order] for name, value in inputs.items()}
    rows = tools.to_numpy(pairs)[order]
    expected = alone.evaluate(inputs, rows, batch_size=2, verbose=0)[0]
    found = alone.fit(inputs, rows, batch_size=2, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-4)


def test_it_may_start_from_a_masked_language_model(tmp_path):
    language = tiny.make_transformer("MaskedLM")
    language.save_to_preset(str(tmp_path))
    task = models.TransformerSentenceEmbedder.from_preset(tmp_path, pooling="mean")
    assert task.preprocessor.sequence_length == tiny.S
    for one, other in zip(task.backbone.weights, language.backbone.weights, strict=True):
        tools.assert_close(one.value, other.value, tolerance=0.0)


def test_what_does_not_fit_is_refused(task):
    with pytest.raises(ValueError, match="as many partners as texts. Received: 2 texts, 1 part"):
        task.fit(["good", "bad"], ["film"])
    for method in (task.fit, task.evaluate):
        with pytest.raises(ValueError, match="^Partners must come .* Received: x of type list, y="):
            method(["good", "bad"])
    with pytest.raises(ValueError, match="^A partner must .* Received: '' at position 0"):
        task.fit(["good"], [""])
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 0"):
        task.embed("")
    with pytest.raises(ValueError, match="Received: pooling='max'"):
        tiny.make_transformer("SentenceEmbedder", None, pooling="max")

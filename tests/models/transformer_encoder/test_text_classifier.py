"""The Transformer's classifier is its layers, learns from strings and shows where it looked."""

import keras
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS, LABELS = tiny.TEXTS, tiny.SENTIMENTS


@pytest.mark.everywhere
@pytest.mark.parametrize("pooling", ["mean", "first", "attention"])
def test_it_is_an_encoder_a_pooling_and_one_layer(pooling):
    task = tiny.make_transformer("TextClassifier", None, pooling=pooling)
    inputs = tiny.make_text_inputs()

    def run(inputs):
        memory = task.backbone(inputs)["sequence_output"]
        pooled = task.pool(memory, inputs["padding_mask"])
        return memory, pooled, task(inputs), task.read_with_alignments(inputs)

    memory, pooled, logits, looked = tools.to_numpy(tools.compiled(run)(inputs))
    kernel, bias = (tools.to_numpy(weight.value) for weight in task.output_dense.weights)
    np.testing.assert_allclose(logits, pooled @ kernel + bias, atol=1e-4)
    np.testing.assert_allclose(looked["logits"], logits, atol=1e-4)
    expected = {
        "mean": np.stack([memory[0].mean(axis=0), memory[1, :3].mean(axis=0)]),
        "first": memory[:, 0],
    }
    if pooling in expected:
        np.testing.assert_allclose(pooled, expected[pooling], atol=1e-5)
    more = tools.to_numpy(tools.compiled(task)(tiny.make_text_inputs(places=7)))
    np.testing.assert_allclose(more, logits, atol=1e-4)


@pytest.mark.everywhere
def test_the_mean_of_nothing_is_zero():
    task = tiny.make_transformer("TextClassifier", None)
    inputs = tiny.make_text_inputs((5, 0))
    assert np.isfinite(tools.to_numpy(tools.compiled(task)(inputs))).all()
    assert (tools.to_numpy(task.pool(tools.normal(2, 5, 8), inputs["padding_mask"]))[1] == 0).all()


@pytest.fixture(scope="module")
def learner():
    keras.utils.set_random_seed(1)
    task = tiny.make_transformer("TextClassifier", encoder={"hidden_dim": 16}, scale=0.2)
    task.compile(keras.optimizers.Adam(0.01))
    with tools.traced():
        task.fit(TEXTS * 10, LABELS * 10, batch_size=6, epochs=6, verbose=0)
    return task


@pytest.mark.everywhere
def test_it_learns_from_strings(learner):
    assert learner.classify(TEXTS) == LABELS
    assert learner.evaluate(TEXTS, LABELS, verbose=0)[1] == 1.0


@pytest.mark.everywhere
def test_alignments_are_of_every_block_and_head(learner):
    texts = ["a good film", "not bad at all"]
    alignments = learner.head_alignments(texts)
    np.testing.assert_array_equal(learner.alignments(texts), alignments)
    assert alignments.shape == (2, 3, 2, 5, 5)  # Blocks, heads, tokens with the end.
    np.testing.assert_allclose(alignments[0, ..., :4, :].sum(axis=-1), 1, rtol=1e-5)
    assert (alignments[0, ..., 4:, :] == 0).all() and (alignments[0, ..., 4:] == 0).all()
    results = learner.classify(texts, return_alignments=True, return_probabilities=True)
    np.testing.assert_allclose(results["alignments"], alignments, atol=1e-5)
    alone = learner.classify(texts, return_probabilities=True)
    np.testing.assert_allclose(results["probabilities"], alone["probabilities"], atol=1e-4)
    np.testing.assert_allclose(learner.alignments(texts[0]), alignments[:1, ..., :4, :4], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first", "attention"])
def test_pooling_alignments_gather_what_is_pooled(pooling, without_compilation):
    task = tiny.make_transformer("TextClassifier", pooling=pooling, encoder={"num_layers": 1})
    texts = ["a good film", "not bad at all"]
    alignments = task.pooling_alignments(texts)
    assert alignments.shape == (2, 1, 5)  # The longest text, with its end token.
    np.testing.assert_allclose(alignments.sum(axis=-1), 1, rtol=1e-5)
    assert (alignments[0, :, 4:] == 0).all()
    inputs = task.preprocessor(texts)
    memory = task.backbone(inputs)["sequence_output"]
    pooled = tools.to_numpy(task.pool(memory, inputs["padding_mask"]))
    gathered = (alignments @ tools.to_numpy(memory)[:, :5])[:, 0]
    np.testing.assert_allclose(gathered, pooled, atol=1e-5)


def test_what_does_not_fit_is_refused(learner):
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 'fair'"):
        learner.fit(["good"], ["fair"])
    tokenizer = tiny.make_text_tokenizer()
    for truncate in ("error", "warn"):
        preprocessor = models.TransformerTextClassifierPreprocessor(
            tokenizer, sequence_length=5, truncate=truncate
        )
        task = tiny.make_transformer("TextClassifier", preprocessor)
        if truncate == "error":
            with pytest.raises(ValueError, match="at most 5 tokens.* Received: 8 tokens"):
                task.classify(["bad " * 7])
        else:
            with pytest.warns(UserWarning, match="1 of 1 texts have more than 5 tokens"):
                task.classify(["bad " * 7])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "max"}, "`pooling` must be one of .* Received: pooling='max'"),
        ({"dropout": 1.0}, "`dropout` must be in .* Received: dropout=1.0"),
        ({"num_classes": 2}, "Received: num_classes=2 with 3 names"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny.make_transformer("TextClassifier", None, **arguments)


def test_texts_may_not_be_longer_than_a_learned_position():
    encoder = {"position": "learned", "max_length": 7}
    for name in ("TextClassifier", "TokenTagger", "MaskedLM"):
        with pytest.raises(ValueError, match="position, 7. Received: sequence_length=11"):
            tiny.make_transformer(name, encoder=encoder)


def test_the_config_makes_the_same_task_again():
    arguments = {"pooling": "attention", "dropout": 0.2}
    task = tiny.make_transformer("TextClassifier", **arguments)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert {name: again.get_config()[name] for name in arguments} == arguments
    assert again.class_names == tiny.CLASSES
    assert [w.shape for w in again.weights] == [w.shape for w in task.weights]

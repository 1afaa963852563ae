"""Training and tagging from raw strings."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS, TAGS = tiny.TEXTS, tiny.TAGS
LISTS = [tags.split() for tags in TAGS]


@pytest.fixture(scope="module")
def learner():
    task = tiny.make_tagger(scale=0.3)
    task.compile(keras.optimizers.Adam(0.1))
    return task


@pytest.mark.everywhere
def test_every_word_has_a_tag():
    task = tiny.make_tagger()
    results = task.tag(TEXTS, return_probabilities=True)
    logits = tools.to_numpy(tools.compiled(task)(task.preprocessor(TEXTS)))
    for row, text, tags, probabilities in zip(
        logits, TEXTS, results["labels"], results["probabilities"], strict=True
    ):
        words = len(text.split())
        np.testing.assert_allclose(probabilities, np.exp(tiny.log_softmax(row[:words])), atol=1e-5)
        assert tags == [tiny.TAG_NAMES[i] for i in row[:words].argmax(axis=-1)]
    assert task.tag(TEXTS) == results["labels"] == task.tag(TEXTS, batch_size=4)
    assert task.tag(TEXTS[0]) == results["labels"][0]
    bare = models.RNNTokenTagger(task.backbone, num_classes=5)
    bare.output_dense.set_weights(task.output_dense.get_weights())
    found = bare.tag(task.preprocessor(TEXTS))
    for ids, tags in zip(found, results["labels"], strict=True):  # And one for the end token.
        assert [tiny.TAG_NAMES[i] for i in ids[:-1]] == tags
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 0"):
        task.tag([""])


def test_the_words_that_a_text_was_cut_by_have_none():
    tokenizer = tiny.make_text_tokenizer()
    task = tiny.make_tagger(models.RNNTokenTaggerPreprocessor(tokenizer, sequence_length=3))
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 3 tokens"):
        assert [len(tags) for tags in task.tag(["a good film", "good"])] == [2, 1]


def test_a_word_of_several_tokens_has_one_tag():
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[START]", "[END]", "cat", "##s", "sit"]
    )
    task = tiny.make_tagger(models.RNNTokenTaggerPreprocessor(tokenizer, sequence_length=11))
    assert [len(tags) for tags in task.tag(["cats sits", "cat"])] == [2, 1]


def assert_learns(learner, *args, epochs=3, **kwargs):
    history = learner.fit(*args, epochs=epochs, verbose=0, **kwargs).history
    assert {"loss", "accuracy"} <= set(history)
    assert history["loss"][-1] < history["loss"][0]


def test_fit_takes_tags_in_strings_lists_and_datasets(learner):
    tf = pytest.importorskip("tensorflow")
    assert_learns(learner, TEXTS, TAGS)
    assert_learns(learner, TEXTS, LISTS, validation_data=(TEXTS, learner.labels.ids(LISTS)))
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, TAGS)).batch(6)
    assert_learns(learner, dataset, validation_data=(TEXTS, LISTS))


@pytest.mark.everywhere
@pytest.mark.graph
def test_a_trained_task_says_what_it_learned(learner):
    # Each batch has each text once, in one order: what is learned is the same in every run.
    arguments = {"batch_size": 6, "epochs": 4, "shuffle": False, "verbose": 0}
    learner.fit(TEXTS * 10, TAGS * 10, **arguments)
    assert learner.tag(TEXTS) == LISTS
    assert learner.evaluate(TEXTS, TAGS, verbose=0)[1] == 1.0
    logits = learner.predict(TEXTS, batch_size=2, verbose=0)
    assert logits.shape == (6, tiny.S, 5)


@pytest.mark.everywhere
def test_the_loss_is_the_mean_over_words():
    task = tiny.make_tagger()
    task.compile("sgd", run_eagerly=True)
    x, y, weight = task.preprocess_samples(TEXTS, TAGS)
    log_probs = tiny.log_softmax(tools.to_numpy(tools.compiled(task)(x)))
    nats = -np.take_along_axis(log_probs, y[:, :, None].astype(int), axis=-1)[:, :, 0]
    found = task.evaluate(TEXTS, TAGS, verbose=0)
    hits = ((log_probs.argmax(axis=-1) == y) * weight).sum() / weight.sum()
    np.testing.assert_allclose(found, [(nats * weight).sum() / weight.sum(), hits], rtol=1e-4)


def test_tags_that_do_not_fit_are_refused(learner):
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 'X'"):
        learner.fit(["a film"], ["D X"])
    with pytest.raises(ValueError, match="as many labels as texts. Received: 1 texts, 2 labels"):
        learner.fit(["a film"], ["D N", "D N"])
    message = "as many tags as words. Received: 2 words, 3 tags at position 1"
    wrong = ["good", "a film"], ["A", "D N N"]
    with pytest.raises(ValueError, match=message):
        learner.fit(*wrong)
    with pytest.raises(ValueError, match=message):
        learner.fit(["good"], ["A"], validation_data=wrong)
    with pytest.raises(ValueError, match=message):
        learner.evaluate(*wrong)
    with pytest.raises(ValueError, match="must be in a list, .* Received: 1 at position 0"):
        learner.fit(["good"], [1])


def test_a_dataset_with_tags_that_do_not_fit_is_refused():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensors((["a film"], ["D N N"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many tags as words"):
        tiny.make_tagger().evaluate(dataset, verbose=0)


# === A CRF, and the spelling of words ===


@pytest.mark.everywhere
def test_a_crf_trains_on_the_likelihood_of_all_tags_together(tmp_path):
    task = tiny.make_spelled_tagger()
    task.compile(keras.optimizers.Adam(0.1))
    x, y, weight = task.preprocess_samples(TEXTS, TAGS)
    emissions = tools.compiled(task)(x)
    nats = -tools.to_numpy(task.crf.log_likelihood(emissions, y, weight > 0))
    before = task.evaluate(TEXTS, TAGS, batch_size=6, verbose=0)
    np.testing.assert_allclose(before, nats.sum() / weight.sum(), rtol=1e-4)
    transitions = tools.to_numpy(task.crf.transitions)
    task.fit(TEXTS, TAGS, batch_size=6, epochs=3, shuffle=False, verbose=0)
    assert task.evaluate(TEXTS, TAGS, batch_size=6, verbose=0) < before
    assert np.abs(tools.to_numpy(task.crf.transitions) - transitions).min() > 0
    emissions = tools.compiled(lambda x: task(x))(x)  # Anew: the weights are others.
    best = tools.to_numpy(task.crf.decode(emissions, weight > 0))
    results = task.tag(TEXTS, return_probabilities=True)
    for tags, ids, real in zip(results["labels"], best, weight > 0, strict=True):
        assert tags == [tiny.TAG_NAMES[i] for i in ids[real]]
    for probabilities in results["probabilities"]:
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-5)
    task.save_to_preset(str(tmp_path / "preset"))
    again = models.RNNTokenTagger.from_preset(str(tmp_path / "preset"))
    assert again.tag(TEXTS) == results["labels"]


def test_without_a_preprocessor_all_tokens_of_a_crf_have_tags():
    task = tiny.make_tagger(None, head="crf")
    inputs = tiny.make_text_inputs()
    assert [len(tags) for tags in task.tag(inputs)] == [5, 3]


def test_what_a_crf_cannot_do_is_refused():
    task = tiny.make_spelled_tagger()
    with pytest.raises(ValueError, match="that of the CRF.* label_smoothing=0.1"):
        task.compile(label_smoothing=0.1)
    with pytest.raises(ValueError, match="that of the CRF.* Received: loss='mse'"):
        task.compile(loss="mse")
    task.compile()
    with pytest.raises(ValueError, match="weigh texts.* Received: class_weight={'A': 2.0}"):
        task.fit(TEXTS, TAGS, class_weight={"A": 2.0})
    with pytest.raises(ValueError, match=r"`head` must be one of .* Received: head='hmm'"):
        tiny.make_tagger(head="hmm")


def test_weights_of_texts_weigh_the_loss_of_a_crf():
    task = tiny.make_spelled_tagger()
    task.compile("sgd", run_eagerly=True)
    x, y, weight = task.preprocess_samples(TEXTS, TAGS)
    nats = -tools.to_numpy(task.crf.log_likelihood(task(x), y, weight > 0))
    of_texts = np.array([2.0, 0.5, 1.0, 1.0, 3.0, 1.0], dtype="float32")
    found = task.evaluate(TEXTS, TAGS, sample_weight=of_texts, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, (of_texts * nats).sum() / weight.sum(), rtol=1e-4)

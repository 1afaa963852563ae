"""Training and classification from raw strings."""

import keras
import numpy as np
import pytest

from attnzoo import models, training
from attnzoo.data import LabelledBatches
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS, LABELS = tiny.TEXTS, tiny.SENTIMENTS


@pytest.fixture(scope="module")
def task():
    """Nobody trains it, or compiles it anew."""
    return tiny.make_classifier(num_hops=2)


@pytest.fixture(scope="module")
def learner():
    """A task that the tests of training train further, one after the other."""
    task = tiny.make_classifier(scale=0.3, num_hops=2, penalty=0.01)
    task.compile(keras.optimizers.Adam(0.03))
    return task


def softmax(logits):
    return np.exp(tiny.log_softmax(logits))


# === Classification ===


@pytest.mark.everywhere
def test_classes_are_the_most_probable_ones(task):
    results = task.classify(TEXTS, return_probabilities=True, return_alignments=True)
    assert set(results) == {"labels", "probabilities", "alignments"}
    inputs = task.preprocessor(TEXTS)
    found = tools.to_numpy(tools.compiled(task.read)(inputs))
    np.testing.assert_allclose(results["probabilities"], softmax(found["logits"]), atol=1e-5)
    best = [tiny.CLASSES[i] for i in found["logits"].argmax(axis=-1)]
    assert results["labels"] == best == task.classify(TEXTS)
    np.testing.assert_allclose(results["alignments"], found["alignments"][:, :, :5], atol=1e-5)
    assert set(task.classify(TEXTS, return_probabilities=True)) == {"labels", "probabilities"}


def test_a_string_gives_a_label_and_company_changes_nothing(task):
    together = task.classify(TEXTS, return_probabilities=True)
    assert task.classify(TEXTS[0]) == together["labels"][0]
    alone = task.classify(TEXTS[0], return_probabilities=True)
    np.testing.assert_allclose(alone["probabilities"], together["probabilities"][:1], atol=1e-5)
    in_batches = task.classify(TEXTS, return_probabilities=True, batch_size=4)
    np.testing.assert_allclose(in_batches["probabilities"], together["probabilities"], atol=1e-5)


def test_alignments_sum_to_one_and_are_zero_over_padding(task):
    texts = ["a good film", "not bad at all", "good"]
    alignments = task.alignments(texts)
    assert alignments.shape == (3, 2, 5)  # The longest text, with its end token.
    np.testing.assert_allclose(alignments.sum(axis=-1), 1, rtol=1e-5)
    for row, text in zip(alignments, texts, strict=True):
        assert (row[:, len(task.preprocessor.tokens(text)) :] == 0).all()
        assert (row[:, : len(task.preprocessor.tokens(text))] > 0).all()
    np.testing.assert_allclose(task.alignments("good"), alignments[2:, :, :2], atol=1e-5)
    np.testing.assert_allclose(task.alignments(texts, batch_size=2), alignments, atol=1e-5)


def test_without_a_preprocessor_ids_go_in(task):
    bare = models.RNNTextClassifier(task.backbone, num_classes=3, num_hops=2)
    for one, other in ((bare.pooling, task.pooling), (bare.output_dense, task.output_dense)):
        one.set_weights(other.get_weights())
    results = bare.classify(task.preprocessor(TEXTS), return_alignments=True)
    assert [tiny.CLASSES[i] for i in results["labels"]] == task.classify(TEXTS)
    np.testing.assert_allclose(results["alignments"], task.alignments(TEXTS), atol=1e-5)
    packed, ids = task.preprocess_samples(TEXTS, LABELS)
    expected = task.evaluate(TEXTS, LABELS, verbose=0)
    np.testing.assert_allclose(bare.evaluate(packed, ids, verbose=0), expected, rtol=1e-4)
    inputs = tiny.make_text_inputs()
    inputs["token_ids"][1, 1] = 11
    with pytest.raises(ValueError, match=r"`token_ids` must .* in \[0, 11\). Received: 11"):
        bare.classify(inputs)


def test_empty_texts_are_refused(task):
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 1"):
        task.classify(["good", ""])
    with pytest.raises(ValueError, match="^A text must .* Received: ' ' at position 0"):
        task.alignments([" "])
    with pytest.raises(ValueError, match="^There must be at least one text. Received: none"):
        task.classify([])
    with pytest.raises(ValueError, match="^`batch_size` must .* Received: batch_size=0"):
        task.classify(["good"], batch_size=0)
    bare = models.RNNTextClassifier(task.backbone, num_classes=3)
    with pytest.raises(ValueError, match="^There must be at least one text. Received: none"):
        bare.classify({"token_ids": np.zeros((0, 5)), "padding_mask": np.zeros((0, 5))})


# === Training ===


def assert_learns(learner, *args, epochs=3, **kwargs):
    history = learner.fit(*args, epochs=epochs, verbose=0, **kwargs).history
    assert {"loss", "accuracy"} <= set(history)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    return history


def test_fit_takes_lists_of_strings(learner):
    assert_learns(learner, TEXTS, LABELS, batch_size=6)
    assert_learns(learner, np.array(TEXTS), [2, 0, 2, 0, 2, 1], batch_size=6)


def test_fit_takes_a_dataset_of_strings(learner):
    tf = pytest.importorskip("tensorflow")
    assert_learns(learner, tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(6))


def test_fit_takes_batches_of_ids(learner):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return learner.preprocessor(TEXTS), np.array(learner.labels.ids(LABELS))

    assert_learns(learner, Batches())
    assert len(learner.evaluate(Batches(), verbose=0)) == 2
    with pytest.raises(ValueError, match="Received: x of type Batches, .* of type tuple"):
        learner.fit(Batches(), validation_data=(TEXTS, LABELS))


def test_fit_validates(learner):
    weights = np.ones(6)
    history = assert_learns(
        learner, TEXTS, LABELS, validation_data=(TEXTS, LABELS), sample_weight=weights, epochs=2
    )
    assert len(history["val_loss"]) == 2
    loss, accuracy = learner.evaluate(TEXTS, LABELS, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)


@pytest.mark.everywhere
@pytest.mark.graph
def test_a_trained_task_says_what_it_learned(learner):
    before = learner.classify(TEXTS, return_probabilities=True)["probabilities"]
    # Each batch has each text once, in one order: what is learned is the same in every run.
    arguments = {"batch_size": 6, "epochs": 8, "shuffle": False, "verbose": 0}
    learner.fit(TEXTS * 10, LABELS * 10, **arguments)
    after = learner.classify(TEXTS, return_probabilities=True)
    assert np.abs(after["probabilities"] - before).max() > 1e-3  # Nothing old was kept.
    assert after["labels"] == LABELS
    assert learner.evaluate(TEXTS, LABELS, verbose=0)[1] == 1.0
    logits = learner.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(softmax(logits), after["probabilities"], atol=1e-5)


def test_a_part_may_be_split_off_to_validate():
    task = tiny.make_classifier()
    task.compile("sgd", run_eagerly=True)
    history = task.fit(TEXTS, LABELS, validation_split=0.34, verbose=0).history
    loss, _ = task.evaluate(TEXTS[3:], LABELS[3:], verbose=0)
    assert history["val_loss"][0] == pytest.approx(loss, rel=1e-4)
    message = "`validation_split` must .* Received: validation_split=0.99 of 6 samples"
    with pytest.raises(ValueError, match=message):
        task.fit(TEXTS, LABELS, validation_split=0.99)


def test_what_cannot_be_learned_is_refused_before_anything_is(learner):
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 'fair'"):
        learner.fit(["good"], ["fair"])
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 3"):
        learner.fit(["good"], ["positive"], validation_data=(["bad"], [3]))
    with pytest.raises(ValueError, match="as many labels as texts. Received: 2 texts, 1 labels"):
        learner.fit(["good", "bad"], ["positive"])
    with pytest.raises(ValueError, match="^Labels must come .* Received: x of type dict, y=None"):
        learner.fit(["good"], ["positive"], validation_data={"text": ["good"]})
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 0"):
        learner.evaluate([""], ["positive"])


def test_labels_of_batches_are_seen_before_training(learner):
    good, wrong = (LabelledBatches(["good"], [i], learner.preprocessor) for i in (0, 3))
    message = "^A label must be one of .* Received: 3"
    with pytest.raises(ValueError, match=message):
        learner.fit(wrong)
    with pytest.raises(ValueError, match=message):
        learner.fit(good, validation_data=wrong)
    with pytest.raises(ValueError, match=message):
        learner.evaluate(wrong)


def test_of_a_dataset_no_part_is_split_off(learner):
    batches = LabelledBatches(["good", "bad"], [0, 1], learner.preprocessor)
    with pytest.raises(ValueError, match="^`validation_split` .* x of type LabelledB"):
        learner.fit(batches, validation_split=0.5)


def test_learning_needs_labels(learner):
    message = "^Labels must come .* Received: x of type list, y=None"
    for use in (learner.fit, learner.evaluate):
        with pytest.raises(ValueError, match=message):
            use(TEXTS)


def test_ids_and_labels_without_a_preprocessor_are_seen_before_training():
    task = tiny.make_classifier(None)
    task.compile("sgd", run_eagerly=True)
    inputs, labels = tiny.make_text_inputs(), np.array([0, 2])
    assert np.isfinite(task.fit(inputs, labels, verbose=0).history["loss"]).all()
    for wrong, received in ((np.array([0, 3]), "3"), (["positive", "fair"], "'fair'")):
        for use in (task.fit, task.evaluate):
            with pytest.raises(ValueError, match=f"^A label must be .* Received: {received}"):
                use(inputs, wrong, verbose=0)
    outside = {**inputs, "token_ids": inputs["token_ids"] + 9}
    message = r"`token_ids` must be ids of the vocabulary, in \[0, 11\). Received: "
    with pytest.raises(ValueError, match=message):
        task.fit(outside, labels)
    with pytest.raises(ValueError, match=message):
        task.fit(inputs, labels, validation_data=(outside, labels))


def test_a_text_that_is_too_long_is_said_before_training():
    tokenizer = tiny.make_text_tokenizer()
    arguments = {"sequence_length": 5, "truncate": "error"}
    task = tiny.make_classifier(models.RNNTextClassifierPreprocessor(tokenizer, **arguments))
    for use in (lambda: task.fit(["bad " * 7], [0]), lambda: task.classify(["bad " * 7])):
        with pytest.raises(ValueError, match="^A text must have at most 5 .* Received: 8 tokens"):
            use()


@pytest.mark.everywhere
def test_evaluate_is_the_smoothed_loss_and_accuracy_of_numpy():
    task = tiny.make_classifier()
    task.compile(label_smoothing=0.2)
    assert isinstance(task.loss, training.SmoothedCrossEntropy)
    assert float(task.optimizer.learning_rate) == pytest.approx(1e-3)
    log_probs = tiny.log_softmax(task.predict(TEXTS, verbose=0))
    wanted = 0.8 * np.eye(3)[task.labels.ids(LABELS)] + 0.2 / 3
    loss = -(wanted * log_probs).sum(axis=-1).mean()
    hits = np.mean(log_probs.argmax(axis=-1) == task.labels.ids(LABELS))
    found = task.evaluate(TEXTS, LABELS, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, [loss, hits], rtol=1e-4)
    with pytest.raises(ValueError, match="Received: smoothing=1.0"):
        task.compile(label_smoothing=1.0)


@pytest.mark.everywhere
def test_it_trains_in_mixed_precision():
    task = tiny.make_classifier(scale=0.3, dtype="mixed_bfloat16", num_hops=2, penalty=0.1)
    before = task.get_weights()
    loss = task.train_on_batch(np.array(TEXTS), np.array(LABELS))[0]
    assert np.isfinite(loss)
    assert all(
        np.abs(one - other).max() > 0 for one, other in zip(before, task.get_weights(), strict=True)
    )
    assert all(v.dtype == "float32" for v in task.trainable_variables)

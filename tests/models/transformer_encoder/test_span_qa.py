"""Question answering: an answer is the best pair of words, and stands in its context."""

import keras
import numpy as np
import pytest

from attnzoo import models
from attnzoo.models.tasks import span_qa
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

# The answer to "good" is the word after it; to "bad", the two words after it.
PAIRS = [
    ("good", "a good film at all"),
    ("bad", "a bad film  at all"),
    ("good", "not at good all"),
    ("bad", "bad not at film"),
]
SPANS = [(7, 11), (6, 14), (12, 15), (4, 10)]
ANSWERS = ["film", "film  at", "all", "not at"]


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(1)
    task = tiny.make_transformer("SpanQA", encoder={"hidden_dim": 16}, scale=0.2)
    task.compile(keras.optimizers.Adam(0.01))
    arguments = {"batch_size": 4, "epochs": 6, "validation_data": (PAIRS, SPANS), "verbose": 0}
    with tools.traced():
        history = task.fit(PAIRS * 10, SPANS * 10, **arguments).history
    assert history["loss"][-1] < history["loss"][0] and "val_accuracy" in history
    return task


@pytest.mark.shared("tensorflow")
def test_it_has_learned_the_answers(task):
    assert [context[a:b] for (_, context), (a, b) in zip(PAIRS, SPANS, strict=True)] == ANSWERS
    assert task.answer(PAIRS) == ANSWERS
    assert task.evaluate(PAIRS, SPANS, verbose=0)[1] == 1.0
    found = task.answer(PAIRS, return_spans=True, batch_size=3)
    assert found["answers"] == ANSWERS and found["spans"] == SPANS
    assert (found["probabilities"] > 0.25).all() and (found["probabilities"] <= 1).all()
    assert [len(answer.split()) for answer in task.answer(PAIRS, max_words=1)] == [1] * 4


@pytest.mark.shared("tensorflow")
def test_alignments_are_of_question_and_context(task):
    alignments = task.alignments(PAIRS[:1])
    assert alignments.shape == (1, 3, 2, 8, 8)  # Six words, and an end token after both texts.
    np.testing.assert_allclose(alignments.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.everywhere
def test_no_answer_is_outside_of_the_words_of_the_context():
    task = tiny.make_transformer("SpanQA", None)
    inputs = tiny.make_text_inputs()
    inputs["span_mask"] = np.array([[0, 0, 1, 0, 1], [0, 1, 1, 0, 0]], "bool")

    ids = {name: inputs[name] for name in ("token_ids", "padding_mask")}
    logits = tools.to_numpy(tools.compiled(task)(inputs))
    everywhere = tools.to_numpy(
        tools.compiled(lambda x: task.output_dense(task.backbone(x)["sequence_output"]))(ids)
    )
    assert logits.shape == (2, 2, 5)
    mask = np.tile(inputs["span_mask"][:, None, :], (1, 2, 1))
    expected = np.swapaxes(everywhere, 1, 2)
    np.testing.assert_allclose(logits[mask], expected[mask], atol=1e-4)
    assert (np.exp(tiny.log_softmax(logits))[~mask] == 0).all()


def test_an_answer_ends_where_it_starts_or_later():
    logits = np.log([[0.1, 0.3, 0.6], [0.5, 0.4, 0.1]])
    best, chance = span_qa.best_span([(0, logits)])
    assert best == (1, 1) and np.isclose(chance, 0.12)  # 0.3 * 0.4 is the largest.
    best, chance = span_qa.best_span([(0, logits)], max_words=1)
    assert best == (1, 1)


def test_a_preset_and_eight_bits_keep_the_answers(task, tmp_path):
    task.save_to_preset(str(tmp_path / "first"))
    again = models.TransformerSpanQA.from_preset(tmp_path / "first")
    assert again.answer(PAIRS) == ANSWERS
    again.quantize("int8")
    small = again.answer(PAIRS, return_spans=True)
    again.save_to_preset(str(tmp_path / "second"))
    third = models.TransformerSpanQA.from_preset(tmp_path / "second")
    assert third.output_dense.quantization_mode == "int8"
    found = third.answer(PAIRS, return_spans=True)
    np.testing.assert_array_equal(found["probabilities"], small["probabilities"])


def test_it_may_start_from_a_masked_language_model(tmp_path):
    language = tiny.make_transformer("MaskedLM")
    language.save_to_preset(str(tmp_path))
    task = models.TransformerSpanQA.from_preset(tmp_path)
    assert task.preprocessor.sequence_length == tiny.S
    for one, other in zip(task.backbone.weights, language.backbone.weights, strict=True):
        tools.assert_close(one.value, other.value, tolerance=0.0)


def test_what_does_not_fit_is_refused(task):
    with pytest.raises(ValueError, match="^A span must .* end <= 18. Received: start=7, end=19"):
        task.fit(PAIRS[:1], [(7, 19)])
    for method in (task.fit, task.evaluate):
        with pytest.raises(ValueError, match="^Spans must come .* Received: x of type list, y="):
            method(PAIRS)
    with pytest.raises(ValueError, match="Received: max_words=0"):
        task.answer(PAIRS, max_words=0)
    with pytest.raises(ValueError, match="Received: preprocessor=None"):
        models.TransformerSpanQA(task.backbone).answer(PAIRS)
    with pytest.raises(ValueError, match="Received: label_smoothing=0.1"):
        task.compile(label_smoothing=0.1)


def test_logits_are_predicted_of_pairs_as_of_their_ids(task):
    logits = task.predict(PAIRS, verbose=0)
    assert logits.shape == (4, 2, 8)
    of_ids = task.predict(task.preprocessor(PAIRS), verbose=0)
    np.testing.assert_allclose(logits, of_ids, atol=1e-6)

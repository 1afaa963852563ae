"""The recurrent reader looks from each context at its question."""

import keras
import numpy as np
import pytest

from attnzoo import layers, models
from tests import tools
from tests.models import tiny
from tests.models.transformer_encoder.test_span_qa import ANSWERS, PAIRS, SPANS


def make_task(preprocessor="its own", **arguments):
    if preprocessor == "its own":
        preprocessor = models.RNNSpanQAPreprocessor(tiny.make_text_tokenizer(), sequence_length=9)
    task = models.RNNSpanQA(tiny.make_encoder(hidden_dim=8), preprocessor, **arguments)
    tools.set_weights(task, scale=0.5)
    return task


def test_it_learns_answers():
    keras.utils.set_random_seed(1)
    task = models.RNNSpanQA(tiny.make_encoder(hidden_dim=24), make_task().preprocessor)
    task.compile(keras.optimizers.Adam(0.02))
    with tools.traced():
        task.fit(PAIRS * 10, SPANS * 10, batch_size=8, epochs=12, verbose=0)
    assert task.answer(PAIRS) == ANSWERS


@pytest.mark.shared("torch")
def test_a_context_looks_at_its_question_alone():
    task = make_task()
    alignments = task.alignments(PAIRS)
    packed = task.preprocessor(PAIRS)
    assert alignments.shape == (4, 8, 8)
    np.testing.assert_allclose(alignments[:, 2:6, :2].sum(axis=-1), 1, rtol=1e-5)
    assert not alignments[:, :2].any() and not alignments[:, :, 2:].any()
    assert not alignments[~packed["padding_mask"]].any()


@pytest.mark.shared("torch")
def test_windows_give_what_one_long_row_gives_where_the_answer_is():
    class Reader(models.RNNSpanQA):
        """Scores a token by its id: the row does not matter."""

        def read_scores(self, inputs):
            ids = keras.ops.cast(inputs["token_ids"], "float32")[:, None]
            scores = keras.ops.concatenate([ids, ids], axis=1)
            return {"scores": keras.ops.where(inputs["span_mask"][:, None], scores, -1e4)}

    tokenizer = tiny.make_text_tokenizer()
    pairs = [("film", "a bad at not good at all at a a"), ("a", "bad")]
    for arguments in ({}, {"no_answer": True}):
        answers = []
        for more in ({"sequence_length": 33}, {"sequence_length": 7, "stride": 2}):
            preprocessor = models.RNNSpanQAPreprocessor(tokenizer, **more, **arguments)
            task = Reader(tiny.make_encoder(hidden_dim=8), preprocessor)
            answers.append(task.answer(pairs, max_words=1, return_spans=True, batch_size=2))
        assert answers[0]["spans"] == answers[1]["spans"]
    # Without units that score more than the end of a question there is no answer.
    best = max(pairs[0][1].split(), key=tokenizer.token_to_id)
    assert answers[1]["answers"][0] == best


@pytest.mark.shared("torch")
def test_of_no_answer_the_least_probable_window_counts():
    from attnzoo.models.tasks.span_qa import best_span

    logits = np.log([[0.5, 0.5], [0.5, 0.5]])
    likely, unlikely = np.array([4.0, 4.0]), np.array([-4.0, -4.0])
    assert best_span([(0, logits), (2, logits)], [likely, unlikely])[0] == (0, 0)
    assert best_span([(0, logits), (2, logits)], [likely, likely])[0] is None
    chances = np.exp([0, 0, 0, 0, 4.0]) * [0.5, 0.5, 0.5, 0.5, 1]
    expected = (chances[-1] / chances.sum()) ** 2
    assert np.isclose(best_span([(0, logits), (2, logits)], [likely, likely])[1], expected)
    empty = np.zeros((2, 0))
    assert best_span([(0, empty), (0, logits)])[0] == (0, 0)  # A window within one long word.


def test_the_config_makes_the_same_task_again():
    task = make_task(attention=layers.SoftAttention(score="dot"), match_ngrams=0, dropout=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert again.match_ngrams == 0 and again.dropout == 0.1
    assert isinstance(again.question_attention, layers.SoftAttention)
    assert [w.shape for w in again.weights] == [w.shape for w in task.weights]


@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 1.0}, r"`dropout` must be in .* Received: dropout=1.0"),
        ({"match_ngrams": -1}, "`match_ngrams` must be at least 0. Received: match_ngrams=-1"),
        ({"attention": "coverage"}, "must have no state: .* Received: attention='coverage'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task(**arguments)

"""XLA on TensorFlow, which other tests leave out: a model of each family is the same with it."""

import keras
import numpy as np
import pytest

from tests import tools
from tests.models import tiny

pytestmark = [pytest.mark.only("tensorflow"), pytest.mark.xla]


FAMILIES = {
    "rnn_seq2seq": lambda: tiny.make_task(tiny.make_preprocessor()),
    "transformer_seq2seq": tiny.make_transformer_seq2seq,
    "rnn_encoder": tiny.make_classifier,
    "transformer_encoder": lambda: tiny.make_transformer("TextClassifier"),
}


def answer(task):
    if hasattr(task, "generate"):
        return task.generate(tiny.WORDS)
    return task.classify(tiny.TEXTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_trains_and_answers_as_it_does_without(family):
    losses, answers, weights = [], [], []
    for xla in (True, False):
        task = FAMILIES[family]()
        # "auto" is XLA: what a user has who asks for nothing.
        task.compile(keras.optimizers.SGD(0.1), jit_compile="auto", run_eagerly=not xla)
        assert task.jit_compile == xla
        answers.append(answer(task))
        is_seq2seq = family.endswith("seq2seq")
        pairs = (tiny.WORDS, tiny.PHONEMES) if is_seq2seq else (tiny.TEXTS, tiny.SENTIMENTS)
        fitted = task.fit(*pairs, batch_size=6, epochs=2, shuffle=False, verbose=0)
        losses.append(fitted.history["loss"])
        weights.append(task.get_weights())
    assert answers[0] == answers[1]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    tools.assert_close(*weights, tolerance=1e-4)

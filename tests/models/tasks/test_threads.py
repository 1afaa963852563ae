"""Threads that ask at once, also for the first time, get what one thread gets."""

import threading

import keras
import numpy as np
import pytest

from attnzoo import data
from tests.models import tiny

pytestmark = pytest.mark.graph

WORDS, PAIRS = tiny.WORDS[:2], (tiny.WORDS[:2], tiny.PHONEMES[:2])
USES = {
    "seq2seq": (
        lambda: tiny.make_task(tiny.make_preprocessor()),
        [
            lambda task: task.generate(WORDS, max_length=3),
            lambda task: task.generate(WORDS, max_length=3, return_scores=True),
            lambda task: task.alignments(PAIRS),
        ],
    ),
    "classifier": (
        tiny.make_classifier,
        [
            lambda task: task.classify(tiny.TEXTS[:2], return_probabilities=True),
            lambda task: task.saliency(tiny.TEXTS[:2])["saliency"],
            lambda task: task.predict(tiny.TEXTS[:2], verbose=0),
        ],
    ),
}


@pytest.mark.parametrize("name", USES)
def test_first_and_later_calls_of_four_threads_give_what_one_gives(name):
    make, uses = USES[name]
    alone, task = make(), make()
    expected = [use(alone) for use in uses]
    found = ask_from_threads(
        [uses[i % len(uses) :] + uses[: i % len(uses)] for i in range(4)], task
    )
    for i, answers in enumerate(found):
        assert len(answers) == 2 * len(uses)
        for j, answer in enumerate(answers):
            compare(answer, expected[(i + j) % len(uses)])


@pytest.mark.backend_free
def test_a_preprocessor_is_built_once():
    """A tokenizer that takes its time lets the other threads come in between."""

    class SlowTokenizer(data.CharacterTokenizer):
        built_times = 0

        def build(self, input_shape):
            type(self).built_times += 1
            threading.Event().wait(0.02)
            super().build(input_shape)

    preprocessors = []
    for _ in range(3):
        preprocessor = tiny.make_preprocessor()
        preprocessor.source_tokenizer = SlowTokenizer.from_texts(WORDS)
        preprocessors.append(preprocessor)
    for preprocessor in preprocessors:
        SlowTokenizer.built_times = 0
        uses = [lambda one: one.generate_preprocess(WORDS)["encoder_token_ids"].tolist()]
        found = ask_from_threads([uses] * 4, preprocessor)
        assert all(answers == found[0] and len(answers) == 2 for answers in found)
        assert SlowTokenizer.built_times == 1


def ask_from_threads(uses_of_threads, task):
    """What each thread gets for its uses, in their order, twice."""
    start, found = threading.Barrier(len(uses_of_threads)), [[] for _ in uses_of_threads]

    def work(answers, uses):
        start.wait()
        for use in [*uses, *uses]:
            answers.append(use(task))

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip(found, uses_of_threads, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def compare(one, other):
    def check(x, y):
        if isinstance(x, np.ndarray):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
        else:
            assert x == y

    keras.tree.map_structure(check, one, other)

"""Accuracy of tokens, against NumPy and against Keras's own."""

import keras
import numpy as np
import pytest

from attnzoo.training import TokenAccuracy
from tests import tools

B, T, V = 2, 3, 7
TARGETS = np.array([[1, 6, 0], [3, 3, 5]], dtype="int32")
WEIGHTS = np.array([[1, 1, 0], [1, 0, 0]], dtype="float32")


def test_it_is_the_share_of_real_tokens_that_are_the_argmax():
    logits = tools.normal(B, T, V)
    logits[0, 0, 1] = logits[1, 0, 3] = 10  # Right.
    logits[0, 1, 2] = 10  # Wrong.
    logits[0, 2, 0] = 10  # Right, but padding.
    metric = TokenAccuracy()
    assert float(metric(TARGETS, logits, sample_weight=WEIGHTS)) == pytest.approx(2 / 3)


def test_it_equals_the_accuracy_of_keras_without_ties():
    ours, stock = TokenAccuracy(), keras.metrics.SparseCategoricalAccuracy()
    for seed in range(3):
        logits = tools.normal(B, T, V, seed=seed)
        ours.update_state(TARGETS, logits, sample_weight=WEIGHTS)
        stock.update_state(TARGETS, logits, sample_weight=WEIGHTS)
    assert float(ours.result()) == pytest.approx(float(stock.result()))


def test_a_tie_counts_as_right():
    assert float(TokenAccuracy()([[1]], [[[0.5, 0.5]]])) == 1.0


def test_the_config_makes_the_same_metric_again():
    metric = TokenAccuracy(name="hits")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, TokenAccuracy)
    assert again.name == "hits"
    logits = tools.normal(B, T, V)
    assert float(again(TARGETS, logits)) == float(metric(TARGETS, logits))

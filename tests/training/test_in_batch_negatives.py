"""The contrastive loss against NumPy, and its metric."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import training
from tests import tools

PAIRS = np.array([0, 1, 2, 0, 1, 2], "int32")


def unit_vectors():
    vectors = tools.normal(6, 5)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_the_loss_is_that_of_numpy():
    vectors = unit_vectors()
    loss = training.InBatchNegatives(0.2, reduction=None)(PAIRS, ops.convert_to_tensor(vectors))
    scores = vectors.astype("float64") @ vectors.T / 0.2
    expected = []
    for row in range(6):
        others = [i for i in range(6) if i != row]
        partner = next(i for i in others if PAIRS[i] == PAIRS[row])
        expected.append(np.log(np.exp(scores[row, others]).sum()) - scores[row, partner])
    np.testing.assert_allclose(tools.to_numpy(loss), expected, rtol=1e-4)


def test_it_is_small_where_partners_agree_and_stays_finite():
    vectors = np.eye(3, 5, dtype="float32")[PAIRS]
    loss = training.InBatchNegatives(0.001)
    assert float(loss(PAIRS, ops.convert_to_tensor(vectors))) == pytest.approx(0.0, abs=1e-6)
    assert float(loss(PAIRS[::2], ops.convert_to_tensor(vectors[::2]))) < 1e10


def test_the_metric_counts_who_finds_a_partner():
    vectors = np.eye(3, 5, dtype="float32")[[0, 1, 2, 0, 2, 2]]
    metric = training.PartnerAccuracy()
    # 4 is nearer to 2 and 5 than to 1, its partner; 1 is as near to all, and 2 and 5 are to 4.
    found = float(metric(PAIRS, ops.convert_to_tensor(vectors)))
    assert found == pytest.approx(2 / 6)
    metric.reset_state()
    assert float(metric(PAIRS, ops.ones((6, 5)))) == 0.0
    again = training.PartnerAccuracy.from_config(metric.get_config())
    assert again.name == "accuracy"


def test_the_config_makes_it_again_and_temperatures_are_checked():
    loss = training.InBatchNegatives(0.3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.temperature == 0.3
    with pytest.raises(ValueError, match="`temperature` must be above 0. Rec.* temperature=0.0"):
        training.InBatchNegatives(0.0)

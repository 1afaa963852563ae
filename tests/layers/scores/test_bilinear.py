import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)


def test_bilinear_score_follows_its_equation():
    score = layers.BilinearScore()
    score.build(QUERY.shape, MEMORY.shape)
    set_weights(score)
    weights = weights_of(score)
    assert weights["kernel"].shape == (7, 5)
    assert_close(score(QUERY, MEMORY), references.bilinear_scores(QUERY, MEMORY, **weights))


def test_equal_widths_and_an_identity_kernel_give_the_dot_product():
    score = layers.BilinearScore()
    score.build((2, 3, 5), (2, 11, 5))
    score.set_weights([np.eye(5)])
    memory = MEMORY[:, :, :5]
    assert_close(score(QUERY, memory), references.dot_scores(QUERY, memory))


def test_a_learned_scale_starts_at_one_and_multiplies():
    score = layers.BilinearScore(scale="learned")
    score.build(QUERY.shape, MEMORY.shape)
    assert float(score.factor.numpy()) == 1.0
    plain = references.bilinear_scores(QUERY, MEMORY, kernel=weights_of(score)["kernel"])
    score.factor.assign(-1.5)
    assert_close(score(QUERY, MEMORY), -1.5 * plain)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match=r"`scale` must be None or .*Received: scale='sqrt'"):
        layers.BilinearScore(scale="sqrt")

import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)


def built(**arguments):
    score = layers.AdditiveScore(units=7, **arguments)
    score.build(QUERY.shape, MEMORY.shape)
    return score


@pytest.mark.parametrize("normalize", [False, True])
def test_additive_score_follows_its_equation(normalize):
    score = built(normalize=normalize)
    set_weights(score)
    expected = references.additive_scores(QUERY, MEMORY, **weights_of(score))
    assert_close(score(QUERY, MEMORY), expected)


def test_the_bias_starts_at_zero_and_the_length_at_one_over_root_units():
    weights = weights_of(built(normalize=True))
    assert np.all(weights["bias"] == 0.0)
    assert weights["length"] == pytest.approx(7**-0.5)


def test_the_length_of_a_normalized_vector_does_not_matter():
    score = built(normalize=True)
    set_weights(score)
    before = score(QUERY, MEMORY)
    score.vector.assign(3.0 * score.vector)
    assert_close(score(QUERY, MEMORY), before)


def test_scores_are_bounded_by_the_vector():
    score = built()
    set_weights(score)
    bound = np.abs(weights_of(score)["vector"]).sum()
    assert np.all(np.abs(to_numpy(score(QUERY * 1e6, MEMORY))) <= bound + 1e-4)


def test_keys_are_made_once_and_compared_in_parts():
    score = built()
    set_weights(score)
    key = score.project(MEMORY)
    assert key.shape == (2, 11, 7)
    whole = score(QUERY, MEMORY)
    for t in range(3):
        assert_close(score.compare(QUERY[:, t : t + 1], key), whole[:, t : t + 1])


def test_no_units_are_refused():
    with pytest.raises(ValueError, match="`units` must be .* at least 1. Received: units=0"):
        layers.AdditiveScore(units=0)

import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)


def built(max_length):
    score = layers.LocationScore(max_length=max_length)
    score.build(QUERY.shape, MEMORY.shape)
    set_weights(score)
    return score


@pytest.mark.parametrize("memory_length", [1, 5, 11])
def test_location_score_follows_its_equation(memory_length):
    score = built(11)
    expected = references.location_scores(QUERY, memory_length, **weights_of(score))
    assert_close(score(QUERY, MEMORY[:, :memory_length]), expected)


def test_what_the_memory_holds_plays_no_part():
    score = built(13)
    assert_close(score(QUERY, MEMORY), score(QUERY, -3.0 * MEMORY), tolerance=0.0)


def test_a_memory_that_is_too_long_is_refused():
    with pytest.raises(
        ValueError, match=r"at most `max_length`=7 steps long. Received: memory.shape=\(2, 11, 7\)"
    ):
        built(7)(QUERY, MEMORY)


def test_no_length_is_refused():
    with pytest.raises(ValueError, match="`max_length` must be .* Received: max_length=0"):
        layers.LocationScore(max_length=0)

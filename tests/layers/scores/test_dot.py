import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)


@pytest.mark.parametrize(("scale", "factor"), [(None, 1.0), ("inverse_sqrt", 5**-0.5)])
def test_dot_score_follows_its_equation(scale, factor):
    scores = layers.DotScore(scale=scale)(QUERY, MEMORY)
    assert_close(scores, references.dot_scores(QUERY, MEMORY, factor))


def test_a_learned_scale_starts_at_one_and_multiplies():
    score = layers.DotScore(scale="learned")
    assert_close(score(QUERY, MEMORY), references.dot_scores(QUERY, MEMORY))
    score.factor.assign(0.3)
    assert_close(score(QUERY, MEMORY), references.dot_scores(QUERY, MEMORY, 0.3))


def test_an_unknown_scale_is_refused():
    with pytest.raises(
        ValueError, match=r"`scale` must be None or one of .*Received: scale='sqrt'"
    ):
        layers.DotScore(scale="sqrt")


def test_two_widths_are_refused():
    with pytest.raises(
        ValueError, match=r"use `BilinearScore`. Received: query_shape=\(2, 3, 5\), .*\(2, 11, 7\)"
    ):
        layers.DotScore()(QUERY, normal(2, 11, 7))

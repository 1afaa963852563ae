import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.lookup import get_score
from attnzoo.layers.names import SCORES
from tests.catalogue import NegativeDistance
from tests.tools import assert_close, normal

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)


def test_a_subclass_needs_only_a_comparison():
    expected = -((QUERY[:, :, None] - MEMORY[:, None]) ** 2).sum(-1)
    assert_close(NegativeDistance()(QUERY, MEMORY), expected)


def test_a_score_without_a_comparison_says_so():
    with pytest.raises(NotImplementedError, match=r"`Score` must implement `compare"):
        layers.Score().compare(ops.convert_to_tensor(QUERY), ops.convert_to_tensor(MEMORY))


@pytest.mark.parametrize("name", SCORES)
def test_a_name_makes_its_score(name):
    arguments = {"additive": {"units": 7}, "concat": {"units": 7}, "location": {"max_length": 11}}
    score = get_score(name, **arguments.get(name, {}))
    assert isinstance(score, SCORES[name])
    assert score(QUERY, MEMORY).shape == (2, 3, 11)


def test_an_instance_is_handed_through():
    score = layers.DotScore()
    assert get_score(score, name="score", dtype="float32") is score


def test_a_serialized_score_is_revived():
    revived = get_score(keras.saving.serialize_keras_object(layers.AdditiveScore(7)))
    assert isinstance(revived, layers.AdditiveScore) and revived.units == 7


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'additive', 'bilinear'.* Received: score='cosine'"):
        get_score("cosine")


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("additive", r"a `AdditiveScore\(units=...\)`. Received: units=None"),
        ("concat", "Received: units=None"),
        ("location", "Received: max_length=None"),
    ],
)
def test_what_a_name_needs_is_told(score, message):
    with pytest.raises(ValueError, match=message):
        get_score(score)


def test_an_instance_takes_no_arguments():
    with pytest.raises(ValueError, match=r"Received: score=<DotScore.*> with {'units': 7}"):
        get_score(layers.DotScore(), units=7)


@pytest.mark.parametrize("score", [3, None])
def test_a_score_is_a_score(score):
    with pytest.raises(ValueError, match=f"must be a `Score` or one of .* Received: score={score}"):
        get_score(score)


def test_scores_may_be_large():
    scores = layers.DotScore()(QUERY * 1e6, MEMORY * 1e6)
    assert np.all(np.isfinite(ops.convert_to_numpy(scores)))

"""The scores that see where the attention has been."""

import numpy as np
import pytest

from attnzoo import layers
from attnzoo.layers.scores.history import HistoryScore
from tests import references
from tests.tools import assert_close, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
HISTORY = np.abs(normal(2, 3, 11, seed=3))


def built(score):
    score.build(QUERY.shape, MEMORY.shape)
    set_weights(score)
    return score


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 5, 31])
def test_the_location_sensitive_score_follows_its_equation(kernel_size, normalize):
    score = built(
        layers.LocationSensitiveScore(7, filters=3, kernel_size=kernel_size, normalize=normalize)
    )
    expected = references.location_sensitive_scores(QUERY, MEMORY, HISTORY, **weights_of(score))
    assert_close(score(QUERY, MEMORY, HISTORY), expected)


@pytest.mark.parametrize("normalize", [False, True])
def test_the_coverage_score_follows_its_equation(normalize):
    score = built(layers.CoverageScore(7, normalize=normalize))
    expected = references.coverage_scores(QUERY, MEMORY, HISTORY, **weights_of(score))
    assert_close(score(QUERY, MEMORY, HISTORY), expected)


@pytest.mark.parametrize(
    "make", [lambda: layers.LocationSensitiveScore(7), lambda: layers.CoverageScore(7)]
)
def test_without_a_history_it_is_the_additive_score(make):
    score = built(make())
    additive = layers.AdditiveScore(7)
    additive.build(QUERY.shape, MEMORY.shape)
    for weight, same in zip(additive.weights, score.weights, strict=False):
        weight.assign(same)
    assert_close(score(QUERY, MEMORY, np.zeros_like(HISTORY)), additive(QUERY, MEMORY))


@pytest.mark.parametrize("name", ["LocationSensitive", "Coverage"])
def test_an_attention_that_keeps_no_history_is_refused(name):
    score = getattr(layers, f"{name}Score")(7)
    for kind in (layers.SoftAttention, layers.HardAttention, layers.MonotonicAttention):
        with pytest.raises(ValueError, match=f"`{name}Attention` keeps .* Received: score=<{name}"):
            kind(score=score)
    with pytest.raises(ValueError, match=f"`{name}Attention` keeps .* Received: history=None"):
        built(score).compare(QUERY, MEMORY)


def test_a_score_that_makes_nothing_of_its_history_says_so():
    with pytest.raises(NotImplementedError, match="`HistoryScore` must implement `place"):
        built(HistoryScore(7))(QUERY, MEMORY, HISTORY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "Received: units=0"),
        ({"filters": 0}, "Received: filters=0"),
        ({"kernel_size": -1}, "Received: kernel_size=-1"),
        ({"kernel_size": 4}, "`kernel_size` must be odd.* Received: kernel_size=4"),
    ],
)
@pytest.mark.parametrize("cls", ["LocationSensitiveScore", "LocationSensitiveAttention"])
def test_sizes_that_cannot_be_are_refused(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(layers, cls)(**{"units": 7, **arguments})


@pytest.mark.parametrize("cls", ["CoverageScore", "CoverageAttention"])
def test_no_units_are_refused(cls):
    with pytest.raises(ValueError, match="Received: units=0"):
        getattr(layers, cls)(0)

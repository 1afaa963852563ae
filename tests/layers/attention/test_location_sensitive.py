import functools

import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import (
    assert_close,
    lengths_mask,
    normal,
    set_weights,
    to_numpy,
    weights_of,
)

QUERY, MEMORY = normal(2, 5, 3, seed=1), normal(2, 11, 7, seed=2)
MASK = lengths_mask([11, 7], 11)
SIZES = {"units": 13, "filters": 3, "kernel_size": 5}


def built(**arguments):
    attention = layers.LocationSensitiveAttention(**{**SIZES, **arguments})
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention, scale=1.0)
    return attention


def smoothed(scores, mask):
    weights = np.where(mask, references.sigmoid(scores), 0.0)
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("sharpening", [1.0, 2.5])
@pytest.mark.parametrize("align", ["softmax", "smoothing", "sparsemax"])
def test_it_follows_its_equations(align, sharpening, cumulative):
    attention = built(
        cumulative=cumulative,
        sharpening=sharpening,
        smoothing=align == "smoothing",
        normalizer="sparsemax" if align == "sparsemax" else "softmax",
    )
    aligned = {
        "softmax": references.softmax,
        "smoothing": smoothed,
        "sparsemax": functools.partial(references.entmax, alpha=2.0),
    }[align]
    weights = weights_of(attention.score)
    expected = references.history_attention(
        QUERY,
        MEMORY,
        MASK,
        lambda query, history: references.location_sensitive_scores(
            query, MEMORY, history, **weights
        ),
        align=lambda scores, mask: aligned(sharpening * scores, mask),
        cumulative=cumulative,
    )
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    assert_close(found, expected)


def test_where_it_looked_last_says_where_it_looks():
    attention = built()
    weights = {weight.name: weight for weight in attention.score.weights}
    for name, weight in weights.items():
        weight.assign(np.zeros(weight.shape) if name != "vector" else np.ones(weight.shape))
    # One filter that finds the last place in its left neighbour: attention moves on by one.
    filters, kernel = np.zeros((5, 3)), np.zeros((3, 13))
    filters[1, 0], kernel[0] = 5.0, 1.0
    weights["location_filters"].assign(filters)
    weights["location_kernel"].assign(kernel)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY))
    state = ops.convert_to_tensor(np.eye(11, dtype="float32")[None, :1].repeat(2, axis=0))
    for place in range(1, 4):
        _, alignments, state = attention.step(QUERY[:, :1], prepared, state)
        assert np.all(to_numpy(alignments).argmax(axis=-1) == place)


def test_smoothed_scores_may_be_as_low_as_they_like():
    attention = built(smoothing=True)
    scores = ops.convert_to_tensor(np.array([[[-200.0, -201.0, 90.0, 91.0]]], "float32"))
    found = attention.align(scores, np.array([[[True, True, False, False]]]))
    assert_close(found, np.array([[[0.731058579, 0.268941421, 0.0, 0.0]]]))
    found = attention.align(scores, None)
    assert_close(found, np.array([[[0.0, 0.0, 0.5, 0.5]]]))


@pytest.mark.parametrize("cumulative", [False, True])
def test_hypotheses_side_by_side_do_not_see_one_another(cumulative):
    attention = built(cumulative=cumulative)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = ops.convert_to_tensor(np.abs(normal(2, 5, 11, seed=3)))
    together = attention.step(ops.convert_to_tensor(QUERY), prepared, state)
    for k in range(5):
        one = slice(k, k + 1)
        alone = attention.step(ops.convert_to_tensor(QUERY[:, one]), prepared, state[:, one])
        assert_close(tuple(part[:, one] for part in together), alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sharpening": 0.0}, "`sharpening` must be above 0. Received: sharpening=0.0"),
        ({"sharpening": -1.0}, "Received: sharpening=-1.0"),
        ({"normalizer": "hardest"}, "Received: normalizer='hardest'"),
        (
            {"normalizer": "sparsemax", "smoothing": True},
            "Received: smoothing=True, normalizer='sparsemax'",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)


def test_the_score_takes_the_layers_precision():
    attention = layers.LocationSensitiveAttention(**SIZES, dtype="mixed_bfloat16")
    assert attention.score.dtype_policy.name == "mixed_bfloat16"

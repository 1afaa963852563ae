import keras
import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, weights_of

MEMORY, MASK = normal(2, 11, 5, seed=1), lengths_mask([11, 7], 11)


def built(**arguments):
    pooling = layers.AttentivePooling(7, **arguments)
    pooling.build(MEMORY.shape)
    set_weights(pooling, scale=1.0)
    return pooling


def expected_of(pooling, mask=MASK):
    weights = weights_of(pooling)
    key = np.tanh(MEMORY.astype("float64") @ weights["kernel"] + weights.get("bias", 0.0))
    scores = np.swapaxes(key @ weights["v"], 1, 2)
    alignments = references.softmax(scores, mask[:, None])
    return np.reshape(alignments @ MEMORY, (2, -1)), alignments


@pytest.mark.parametrize("arguments", [{}, {"num_hops": 3}, {"num_hops": 2, "use_bias": False}])
def test_it_follows_its_equations(arguments):
    pooling = built(**arguments)
    found = pooling(MEMORY, MASK, return_alignments=True)
    assert_close(found, expected_of(pooling))
    assert_close(pooling(MEMORY, MASK), found[0], tolerance=0.0)


def test_the_penalty_is_the_distance_of_the_hops_from_being_apart():
    pooling = built(num_hops=3, penalty=0.7)
    pooling(MEMORY, MASK, training=True)
    _, alignments = expected_of(pooling)
    both = alignments @ np.swapaxes(alignments, 1, 2) - np.eye(3)
    expected = 0.7 * np.square(both).sum(axis=(1, 2)).mean()
    assert float(pooling.losses[0]) == pytest.approx(expected, rel=1e-5)
    pooling(MEMORY, MASK)
    assert pooling.losses == []


def test_hops_that_see_one_place_each_cost_nothing():
    pooling = built(num_hops=3)
    apart = np.eye(3, 11, dtype="float32")[None].repeat(2, axis=0)
    assert float(pooling.overlap(apart)) == 0.0
    assert float(pooling.overlap(apart[:, [0, 0, 1]])) == 2.0


def test_an_example_of_padding_alone_gives_zeros():
    mask = MASK.copy()
    mask[0] = False
    pooled, alignments = built(num_hops=3)(MEMORY, mask, return_alignments=True)
    for found in (pooled, alignments):
        assert_close(found[0], np.zeros(found.shape[1:]), tolerance=0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be a whole number.* Received: units=0"),
        ({"num_hops": 0}, "`num_hops` must be a whole number.* Received: num_hops=0"),
        ({"penalty": -1.0}, "`penalty` must be at least 0. Received: penalty=-1.0"),
        ({"normalizer": "max"}, "Received: normalizer='max'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.AttentivePooling(**{"units": 7, **arguments})


def test_a_mask_must_be_boolean():
    with pytest.raises(ValueError, match="`mask` must be boolean.* Received: mask.dtype="):
        built()(MEMORY, MASK.astype("float32"))


def test_it_pools_the_words_of_each_sentence():
    sentences = np.stack([MEMORY[:, :4], MEMORY[:, 4:8]], axis=1)  # [B, 2, 4, D]
    pooling = built(num_hops=2)
    found = keras.layers.TimeDistributed(pooling)(sentences)
    for place in range(2):
        assert_close(found[:, place], pooling(sentences[:, place]), tolerance=1e-6)

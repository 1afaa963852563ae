import numpy as np
import pytest

from attnzoo import layers
from attnzoo.layers.positions.t5 import bucket_numbers
from tests import references
from tests.tools import assert_close, set_weights, to_numpy, weights_of


def test_small_buckets_are_as_the_formula_gives_by_hand():
    # Four of one distance, then edges at 4 * 4^(j / 4) = 4, 5.66, 8, 11.31.
    before = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7]
    causal = bucket_numbers(8, 16, bidirectional=False)
    np.testing.assert_array_equal(causal, before[:0:-1] + [0] * 17)
    both = bucket_numbers(16, 16, bidirectional=True)
    np.testing.assert_array_equal(both, before[::-1] + [8 + bucket for bucket in before[1:]])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (4, 7), (6, 5), (64, 1009)])
def test_buckets_follow_their_formula(num_buckets, max_distance, bidirectional):
    numbers = bucket_numbers(num_buckets, max_distance, bidirectional)
    expected = [
        references.t5_bucket(relative, num_buckets, max_distance, bidirectional)
        for relative in range(-max_distance, max_distance + 1)
    ]
    np.testing.assert_array_equal(numbers, expected)
    assert numbers.min() == 0 and numbers.max() == num_buckets - 1


@pytest.mark.parametrize("bidirectional", [True, False])
def test_usual_buckets_are_those_of_float32(bidirectional):
    # Trained tables were made with rounded logarithms: none of the usual edges moves.
    size = 16 if bidirectional else 32
    distance = np.arange(size // 2, 129)
    logs = np.log(distance.astype("float32") / np.float32(size // 2))
    share = logs / np.float32(np.log(128 / (size // 2))) * np.float32(size // 2)
    expected = np.minimum(size // 2 + share.astype("int32"), size - 1)
    numbers = bucket_numbers(32, 128, bidirectional)
    np.testing.assert_array_equal(numbers[128 - distance], expected)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_each_head_has_a_number_for_each_bucket(bidirectional):
    position = layers.T5Position(7, bidirectional=bidirectional, num_buckets=6, max_distance=5)
    position.build()
    set_weights(position)
    table = weights_of(position)["table"]
    queries, keys = np.array([5, 0, 100]), np.arange(11)
    expected = np.zeros((7, 3, 11))
    for t, s in np.ndindex(3, 11):
        bucket = references.t5_bucket(keys[s] - queries[t], 6, 5, bidirectional)
        expected[:, t, s] = table[bucket]
    assert_close(position.bias(queries, keys), expected.astype("float32"))


def test_in_a_causal_decoder_what_comes_after_is_one_bucket():
    position = layers.T5Position(7, bidirectional=False)
    position.build()
    set_weights(position)
    bias = to_numpy(position.bias(np.array([3]), np.arange(3, 200)))
    assert_close(bias, np.broadcast_to(bias[:, :, :1], bias.shape), tolerance=0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be .* Received: num_heads=0"),
        ({"num_buckets": 2}, "at least 4. Received: num_buckets=2, bidirectional=True"),
        ({"num_buckets": 7}, "even and .* Received: num_buckets=7, bidirectional=True"),
        ({"num_buckets": 1, "bidirectional": False}, "num_buckets=1, bidirectional=False"),
        ({"max_distance": 8}, "must be above 8, .* Received: max_distance=8, num_buckets=32"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.T5Position(**{"num_heads": 7, **arguments})

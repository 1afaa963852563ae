import numpy as np
from keras import ops

from attnzoo.ops.dropout import dropout_factors
from tests.tools import assert_close, to_numpy

SEED = [123456789, 2**31 - 5]
ROWS, STEPS, PLACES = np.arange(5), np.arange(3), np.arange(7, 18)


def mix(bits: int) -> int:
    """A bijection of 32 bits, in whole numbers without a sign."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D % 2**32
    bits = (bits ^ (bits >> 15)) * 0x846CA68B % 2**32
    return bits ^ (bits >> 16)


def drawn(rate, rows=ROWS, steps=STEPS, places=PLACES, seed=SEED):
    numbers = [ops.convert_to_tensor(one.astype("int32")) for one in (rows, steps, places)]
    return dropout_factors(rate, ops.convert_to_tensor(np.array(seed, "int32")), *numbers)


def test_factors_follow_the_equation():
    expected = np.zeros((5, 3, 11), "float32")
    for r, row in enumerate(ROWS):
        for t, step in enumerate(STEPS):
            line = mix((mix((int(row) + SEED[0]) % 2**32) + int(step) + SEED[1]) % 2**32)
            for s, place in enumerate(PLACES):
                bits = mix((line + int(place) * 0x9E3779B9) % 2**32)
                expected[r, t, s] = (bits % 2**31 >= round(0.3 * 2**31)) / 0.7
    assert_close(drawn(0.3), expected)
    assert 0.0 < np.mean(expected == 0.0) < 0.5


def test_any_part_may_be_drawn_alone():
    whole = to_numpy(drawn(0.5))
    part = drawn(0.5, rows=ROWS[2:4], steps=STEPS[1:], places=PLACES[3:5])
    assert_close(part, whole[2:4, 1:, 3:5], tolerance=0.0)


def test_neighbours_do_not_know_of_one_another():
    many = np.arange(200)
    kept = to_numpy(drawn(0.5, rows=many[:50], steps=many, places=many)) > 0.0
    for axis in range(3):
        one = np.take(kept, range(kept.shape[axis] - 1), axis)
        other = np.take(kept, range(1, kept.shape[axis]), axis)
        assert abs(np.mean(one == other) - 0.5) < 4.5 * 0.5 / np.sqrt(one.size)


def test_no_rate_drops_nothing():
    assert_close(drawn(0.0), np.ones((5, 3, 11), "float32"), tolerance=0.0)

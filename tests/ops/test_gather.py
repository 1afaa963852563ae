"""What is taken at places in range is what NumPy takes."""

import numpy as np
from keras import ops

from attnzoo.ops.gather import flat_rows, take_along_rows, take_places, take_rows
from tests.tools import normal, to_numpy

VALUES = normal(2, 11, 5, seed=1)
PLACES = np.array([[10, 0, 3], [3, 3, 1]], "int32")


def test_rows_are_taken():
    rows = ops.convert_to_tensor(PLACES[0])
    found = take_rows(ops.convert_to_tensor(VALUES[0]), rows)
    np.testing.assert_array_equal(to_numpy(found), VALUES[0][PLACES[0]])


def test_each_row_is_taken_at_its_own_places():
    values, places = ops.convert_to_tensor(VALUES[:, :, 0]), ops.convert_to_tensor(PLACES)
    expected = np.take_along_axis(VALUES[:, :, 0], PLACES, axis=1)
    np.testing.assert_array_equal(to_numpy(take_along_rows(values, places)), expected)
    expected = np.take_along_axis(VALUES, PLACES[:, :, None], axis=1)
    found = take_places(ops.convert_to_tensor(VALUES), places)
    np.testing.assert_array_equal(to_numpy(found), expected)


def test_places_of_rows_become_places_of_all_rows():
    found = flat_rows(ops.convert_to_tensor(PLACES), 11)
    assert to_numpy(found).tolist() == [10, 0, 3, 14, 14, 12]

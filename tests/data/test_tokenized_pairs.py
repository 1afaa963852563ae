"""Pairs as ids; see `test_batching.py` for those that are too long."""

import numpy as np
import pytest

from attnzoo.data.tokenized_pairs import pack_ids

pytestmark = pytest.mark.backend_free


def test_packing_pads_to_the_length():
    ids, mask = pack_ids([[5, 6], [], [7]], length=3, pad_token_id=9)
    np.testing.assert_array_equal(ids, [[5, 6, 9], [9, 9, 9], [7, 9, 9]])
    np.testing.assert_array_equal(mask, [[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert ids.dtype == "int32"
    assert mask.dtype == "bool"

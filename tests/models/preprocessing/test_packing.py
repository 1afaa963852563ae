"""Small things that preprocessors share."""

import pytest

from attnzoo.models.preprocessing import packing

pytestmark = pytest.mark.backend_free


def test_lengths_are_few_and_close_to_each_other():
    assert packing.lengths_up_to(100) == [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 100]
    lengths = packing.lengths_up_to(1000)
    assert lengths[-1] == 1000 and len(lengths) < 30
    assert all(b <= 1.25 * a for a, b in zip(lengths[7:], lengths[8:], strict=False))
    assert packing.lengths_up_to(3) == [3]

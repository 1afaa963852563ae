import pytest

from attnzoo.ops.sizes import fits_whole, known_size
from tests.test_checks import Symbol

pytestmark = pytest.mark.backend_free


OPEN = Symbol()


def test_only_numbers_are_known():
    assert [known_size(size) for size in (7, None, OPEN)] == [7, None, None]


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((2, 3, 5), True), ((2, 3, 6), False), ((2, None), False), ((OPEN, 99), True)],
)
def test_what_may_be_held_at_once(sizes, fits):
    assert fits_whole(sizes, 30) is fits

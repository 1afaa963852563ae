import pytest

from attnzoo.ops.sizes import agree, fits_whole, is_symbol, known_size

pytestmark = pytest.mark.backend_free


class Symbol:
    """A size that an export leaves open: it equals nothing but itself and takes no comparison."""

    def __lt__(self, other):
        raise TypeError("inconclusive")

    __mul__ = __rmul__ = __le__ = __gt__ = __ge__ = __lt__


OPEN = Symbol()


def test_only_numbers_are_known():
    assert [known_size(size) for size in (7, None, OPEN)] == [7, None, None]
    assert [is_symbol(size) for size in (7, None, OPEN)] == [False, False, True]


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((2, 3, 5), True), ((2, 3, 6), False), ((2, None), False), ((OPEN, 99), True)],
)
def test_what_may_be_held_at_once(sizes, fits):
    assert fits_whole(sizes, 30) is fits


@pytest.mark.parametrize(
    ("sizes", "same"),
    [
        ((2, 2), True),
        ((2, 3), False),
        ((2, None, 2), True),
        ((OPEN, OPEN), True),
        ((OPEN, 2), False),
    ],
)
def test_known_sizes_agree_if_they_are_equal(sizes, same):
    assert agree(*sizes) is same

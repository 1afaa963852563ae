"""Few shapes for pairs of many lengths."""

import itertools

import numpy as np
import pytest

from attnzoo.data.buckets import find_buckets

pytestmark = pytest.mark.backend_free


def cells_of(chain, lengths):
    first = (next(s + t for s, t in chain if a <= s and b <= t) for a, b in lengths)
    return sum(first)


@pytest.mark.parametrize("num_buckets", [1, 2, 3, 5])
def test_buckets_are_the_best_chain(num_buckets):
    lengths = [(2, 3), (2, 2), (3, 3), (5, 2), (4, 5), (5, 5), (3, 2), (7, 5), (2, 7), (4, 4)] * 3
    lengths += [(3, 3)] * 5 + [(4, 5)] * 7
    found = find_buckets(*zip(*lengths, strict=True), num_buckets=num_buckets)
    assert len(found) <= num_buckets
    assert found[-1] == (7, 7)
    for small, large in itertools.pairwise(found):
        assert small != large and small[0] <= large[0] and small[1] <= large[1]
    shapes = list(itertools.product(range(2, 8), range(2, 8)))
    chains = (
        [*chain, (7, 7)]
        for size in range(num_buckets if num_buckets < 4 else 3)
        for chain in itertools.combinations(shapes, size)
        if all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(chain))
    )
    assert cells_of(found, lengths) <= min(cells_of(chain, lengths) for chain in chains)


def test_no_more_buckets_than_help():
    assert find_buckets([3, 3, 5], [2, 2, 7], num_buckets=11) == [(3, 2), (5, 7)]
    assert find_buckets([3], [2], num_buckets=5) == [(3, 2)]


def test_many_lengths_are_bucketed_in_reasonable_time():
    generator = np.random.default_rng(0)
    source = generator.integers(2, 2000, 10_000)
    target = np.maximum(2, source + generator.integers(-50, 50, 10_000))
    found = find_buckets(source, target, num_buckets=7)
    assert len(found) == 7
    assert found[-1] == (source.max(), target.max())

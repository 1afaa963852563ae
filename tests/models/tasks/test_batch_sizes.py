"""Batches of few sizes: how rows are split, filled and joined."""

import numpy as np
import pytest

from attnzoo.models.tasks import batch_sizes

pytestmark = pytest.mark.backend_free


def test_sizes_are_few_and_not_much_too_large():
    sizes = [batch_sizes.size_for(count) for count in range(1, 1025)]
    few = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
    assert sorted(set(sizes)) == few
    assert all(count <= size < 2 * count for count, size in enumerate(sizes, start=1))
    assert all(size <= 1.5 * count for count, size in enumerate(sizes, start=1) if count > 16)
    assert len(set(sizes[:12])) == 5


@pytest.mark.parametrize(("limit", "size"), [(1, 1), (3, 2), (31, 24), (32, 32), (100, 96)])
def test_a_full_batch_has_one_of_these_sizes(limit, size):
    assert batch_sizes.size_within(limit) == size == batch_sizes.size_for(size)
    rows = batch_sizes.split_rows(200, limit)
    assert np.concatenate([np.arange(200)[part] for part in rows]).tolist() == list(range(200))
    assert {part.stop - part.start for part in rows} == {size}


def test_a_batch_holds_a_row_at_least():
    with pytest.raises(ValueError, match="`batch_size` must be .* Received: batch_size=0"):
        batch_sizes.split_rows(3, 0)


@pytest.mark.parametrize("count", [1, 3, 32, 33, 70])
def test_samples_are_filled_to_batches_of_one_size(count):
    samples = {
        "ids": np.arange(2 * count).reshape(count, 2),
        "texts": [str(i) for i in range(count)],
    }
    filled, size, kept = batch_sizes.fill_samples(samples, 32)
    assert kept == count and size <= 32 and size == batch_sizes.size_for(size)
    assert len(filled["ids"]) == len(filled["texts"]) < count + 32
    assert len(filled["ids"]) % size == 0
    np.testing.assert_array_equal(filled["ids"][:count], samples["ids"])
    assert filled["texts"][:count] == samples["texts"]
    assert set(filled["texts"][count:]) <= {str(count - 1)}


def test_parts_of_different_lengths_are_joined_with_zeros():
    joined = batch_sizes.join_rows([np.ones((2, 3)), np.ones((1, 2))])
    np.testing.assert_array_equal(joined, [[1, 1, 1], [1, 1, 1], [1, 1, 0]])

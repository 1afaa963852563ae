"""Batches in a few fixed shapes (S, T), in an order that a seed reproduces."""

import numpy as np

from attnzoo.data.buckets import find_buckets
from attnzoo.data.planned_batches import PlannedBatches


class ShapedBatches(PlannedBatches):
    """Base of the datasets of pairs of two lengths, in batches of a few shapes.

    A subclass's constructor sets `num_buckets` and the lengths of all pairs, `_source_lengths` and
    `_target_lengths`, besides the attributes of `PlannedBatches`; it calls `_make_buckets()` and
    then sets `epoch = 0`. The plan of a batch is its bucket and its rows. Every batch is full, but
    for the last one, which has fewer rows.
    """

    num_buckets: int
    _source_lengths: np.ndarray
    _target_lengths: np.ndarray

    def _make_buckets(self):
        """Find the shapes, and the batch size and the pairs of each."""
        self._buckets = find_buckets(
            self._source_lengths, self._target_lengths, num_buckets=self.num_buckets
        )
        self._batch_sizes = [
            self._find_batch_size(max(bucket), "the length of the longest pair")
            for bucket in self._buckets
        ]
        source_bounds, target_bounds = np.array(self._buckets).T
        fits = (self._source_lengths[:, None] <= source_bounds) & (
            self._target_lengths[:, None] <= target_bounds
        )
        smallest = fits.argmax(axis=1)
        self._members = [np.flatnonzero(smallest == k) for k in range(len(self._buckets))]

    @property
    def buckets(self) -> list[tuple[int, int]]:
        """The shapes (S, T) in tokens, from the smallest to the largest."""
        return list(self._buckets)

    @property
    def batch_sizes(self) -> list[int]:
        """Batch size B of each shape, in pairs."""
        return list(self._batch_sizes)

    def _filled(self, bucket, rows):
        """Return rows, with copies of the first one up to the bucket's batch size."""
        copies = np.repeat(rows[:1], self._batch_sizes[bucket] - len(rows))
        return np.concatenate([rows, copies])

    def _draw(self, epoch):
        """Draw what differs from epoch to epoch besides the order."""

    def _make_plan(self, epoch):
        """Return the epoch's batches in order: (bucket, rows), at most B rows each."""
        self._draw(epoch)
        generator = np.random.default_rng((self.seed, epoch))
        plan, left_over = [], np.zeros(0, "int64")
        for bucket, members in enumerate(self._members):
            if self.shuffle:
                members = generator.permutation(members)
            rows = np.concatenate([left_over, members])
            batch_size = self._batch_sizes[bucket]
            num_full = len(rows) - len(rows) % batch_size
            plan += [
                (bucket, rows[start : start + batch_size])
                for start in range(0, num_full, batch_size)
            ]
            left_over = rows[num_full:]
        if len(left_over):
            plan.append((len(self._members) - 1, left_over))
        return self._arrange(plan, generator)

"""Batches whose order is planned, epoch by epoch, from a seed."""

import keras


class PlannedBatches(keras.utils.PyDataset):
    """Base of the datasets whose order depends on seed and epoch alone.

    A subclass gives `_make_plan(epoch)`, the list of what its batches are made of, sets `epoch = 0`
    at the end of its constructor, and gets item i by `_planned(i)`.
    """

    @property
    def epoch(self) -> int:
        """Which epoch the items are of, counted from 0. Set it to go on where training stopped."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        if epoch < 0:
            raise ValueError(f"`epoch` must be at least 0. Received: epoch={epoch}")
        self._epoch = int(epoch)
        self._read = set()
        self._plan = self._make_plan(self._epoch)

    def __len__(self) -> int:
        return len(self._plan)

    def on_epoch_end(self) -> None:
        """Go on to the order of the next epoch, once every batch of this one was asked for.

        Keras calls this at the start of each `fit` too, with little or nothing read; were that
        counted, resumed training would not see what uninterrupted training sees.
        """
        # Worker processes read copies of this object, so that nothing is noticed here.
        if len(self._read) == len(self._plan) or self.use_multiprocessing:
            self.epoch += 1

    def _planned(self, index):
        """What batch `index` is made of, which then counts as read."""
        planned = self._plan[index]
        self._read.add(index)
        return planned

    def _make_plan(self, epoch):
        raise NotImplementedError(f"`{type(self).__name__}` must implement `_make_plan(epoch)`.")

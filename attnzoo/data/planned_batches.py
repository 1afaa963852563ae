"""Batches whose order is planned, epoch by epoch, from a seed."""

import keras
import numpy as np

from attnzoo.checks import check_at_least


class PlannedBatches(keras.utils.PyDataset):
    """Base of the datasets whose order depends on seed and epoch alone.

    All texts are tokenized beforehand, and a batch is made when it is asked for: workers would make
    batches ahead of training, into later epochs.

    Args:
        **kwargs: For `keras.utils.PyDataset`.

    Raises:
        ValueError: If there are to be several workers.

    A subclass gives `_make_plan(epoch)`, the list of its batches' rows, sets `seed`,
    `shuffle`, `batch_size` and `max_tokens`, and `epoch = 0` at the end of its constructor, and
    gets item i by `_planned(i)`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        for name in ("workers", "use_multiprocessing"):
            setattr(self, name, getattr(self, name))

    def __setattr__(self, name, value):
        if (name == "workers" and value > 1) or (name == "use_multiprocessing" and value):
            rule = "1" if name == "workers" else "False"
            raise ValueError(
                f"`{name}` must be {rule}: batches made ahead of training would take order and "
                f"epoch ahead of it too. Received: {name}={value}"
            )
        super().__setattr__(name, value)

    @property
    def epoch(self) -> int:
        """The epoch that the items are of, counted from 0. Set it to resume training."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int):
        check_at_least(0, epoch=epoch)
        self._epoch = int(epoch)
        self._used: set[int] = set()
        self._plan = self._make_plan(self._epoch)

    def __len__(self) -> int:
        return len(self._plan)

    def on_epoch_end(self) -> None:
        """Take the order of the next epoch, once every batch of this one was used.

        Keras calls this at the start of each `fit` too, with few or no batches used; were that
        counted, resumed training would not see what uninterrupted training sees.
        """
        if len(self._used) == len(self._plan):
            self.epoch += 1

    def _planned(self, index):
        """Return the plan of batch `index`, which then counts as used."""
        planned = self._plan[index]
        self._used.add(index)
        return planned

    def _pieces_generator(self, epoch):
        """Return the generator of the epoch's pieces, apart from those of its order and batches."""
        return np.random.default_rng((self.seed, epoch, 0, 1))

    def _find_batch_size(self, length, what):
        """Return the most rows of this length, padding counted, that a batch may have."""
        if self.max_tokens is None:
            return self.batch_size
        if length > self.max_tokens:
            raise ValueError(
                f"`max_tokens` must be at least {length}, {what}. "
                f"Received: max_tokens={self.max_tokens}"
            )
        return min(self.max_tokens // length, self.batch_size or self.max_tokens)

    def _arrange(self, plan, generator):
        """Put a plan that goes from small to large in the epoch's order.

        The smallest comes first and the largest second, for on TensorFlow Keras takes from these
        two which sizes vary; then the others, shuffled if so wanted.
        """
        plan = [plan[0], *plan[-1:], *plan[1:-1]] if len(plan) > 1 else plan
        if self.shuffle:
            plan[2:] = [plan[2 + place] for place in generator.permutation(len(plan[2:]))]
        return plan

    def _make_plan(self, epoch):
        raise NotImplementedError(f"`{type(self).__name__}` must implement `_make_plan(epoch)`.")

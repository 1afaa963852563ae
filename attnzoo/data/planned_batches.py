"""Batches in an order that a seed determines for each epoch."""

import keras
import numpy as np

from attnzoo.checks import check_at_least


class PlannedBatches(keras.utils.PyDataset):
    """Base of the datasets whose order depends on seed and epoch alone.

    All texts are tokenized in the constructor, and a batch is made when training asks for it.
    Several workers are refused: they would make batches ahead of training, into later epochs.

    Args:
        **kwargs: For `keras.utils.PyDataset`.

    Raises:
        ValueError: If `workers` is above 1.

    A subclass defines `_make_plan(epoch)`, which returns the rows of each batch. Its constructor
    sets `seed`, `shuffle`, `batch_size` and `max_tokens`, and at the end `epoch = 0`. Its
    `__getitem__` reads the plan of batch i with `_planned(i)`.
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
        """The epoch of the items, counted from 0. Set it to resume training."""
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
        """Go to the next epoch if every batch of this one was used.

        Keras also calls this at the start of each `fit`, when few or no batches were used. If these
        calls counted, resumed training would differ from uninterrupted training.
        """
        if len(self._used) == len(self._plan):
            self.epoch += 1

    def _planned(self, index):
        """Return the plan of batch `index`, and mark the batch as used."""
        planned = self._plan[index]
        self._used.add(index)
        return planned

    def _pieces_generator(self, epoch):
        """Return the generator of the epoch's pieces, independent of those of order and batches."""
        return np.random.default_rng((self.seed, epoch, 0, 1))

    def _find_batch_size(self, length, what):
        """Return the largest number of rows of this padded length in a batch."""
        if self.max_tokens is None:
            return self.batch_size
        if length > self.max_tokens:
            raise ValueError(
                f"`max_tokens` must be at least {length}, {what}. "
                f"Received: max_tokens={self.max_tokens}"
            )
        return min(self.max_tokens // length, self.batch_size or self.max_tokens)

    def _arrange(self, plan, generator):
        """Return a plan, given from small to large, in the epoch's order.

        The smallest batch is first and the largest second, because Keras infers from these two on
        TensorFlow which sizes vary; the others follow, shuffled if `shuffle` is True.
        """
        plan = [plan[0], *plan[-1:], *plan[1:-1]] if len(plan) > 1 else plan
        if self.shuffle:
            plan[2:] = [plan[2 + place] for place in generator.permutation(len(plan[2:]))]
        return plan

    def _make_plan(self, epoch):
        raise NotImplementedError(f"`{type(self).__name__}` must implement `_make_plan(epoch)`.")

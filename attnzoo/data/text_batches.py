"""Batches of texts of similar length, in an order that a seed reproduces."""

from collections.abc import Sequence

import numpy as np

from attnzoo.data.planned_batches import PlannedBatches


class TextBatches(PlannedBatches):
    """Base of the datasets of tokenized texts, which pack them as the preprocessor packs.

    Args:
        texts: Strings. At least one.
        preprocessor: The task's: it tokenizes all texts at once, now, and packs each batch.
        batch_size: Texts in a batch; the last batch of an epoch may be smaller. At least 1.
        shuffle: Whether each epoch has another order. Otherwise each has the same, from short to
            long.
        seed: At least 0.
        **kwargs: For `keras.utils.PyDataset`.

    Raises:
        ValueError: If there are no texts, one is empty, or a number is out of range.
    """

    def __init__(
        self,
        texts: Sequence[str],
        preprocessor,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
        texts = list(texts)
        preprocessor.check_texts(texts)
        self.preprocessor = preprocessor
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._ids = preprocessor.tokenize(texts)
        self._lengths = np.array([len(ids) for ids in self._ids])
        self.epoch = 0

    @property
    def padding_fraction(self) -> float:
        """Part of an epoch's cells that holds no token. In [0, 1)."""
        masks = [self._pack(rows)["padding_mask"] for rows in self._plan]
        return 1.0 - sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)

    def _pack(self, rows):
        ids = [self._ids[row] for row in rows]
        return self.preprocessor.pack_tokens(ids, self.preprocessor.length_of(ids))

    def _make_plan(self, epoch):
        """The epoch's batches in order: rows of each."""
        count = len(self._ids)
        if not self.shuffle:
            rows = np.argsort(self._lengths, kind="stable")
            return np.split(rows, range(self.batch_size, count, self.batch_size))
        generator = np.random.default_rng((self.seed, epoch))
        # Of equally long texts, others meet in each epoch.
        rows = np.lexsort((generator.random(count), self._lengths))
        plan = np.split(rows, range(self.batch_size, count, self.batch_size))
        return [plan[place] for place in generator.permutation(len(plan))]

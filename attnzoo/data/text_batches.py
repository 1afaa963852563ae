"""Batches of texts of similar length, in an order that a seed reproduces."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.checks import check_at_least
from attnzoo.data.planned_batches import PlannedBatches
from attnzoo.data.subword_sampling import SubwordSampler, check_alpha, choose_ids


class TextBatches(PlannedBatches):
    """Base of the datasets of tokenized texts, which the preprocessor packs.

    Args:
        texts: Strings. At least one.
        preprocessor: The task's preprocessor. It tokenizes all texts in the constructor, and packs
            each batch.
        batch_size: Texts in a batch; with `max_tokens` the largest number of texts. At least 1.
            None is 32, and with `max_tokens` no limit.
        max_tokens: Largest number of tokens in a batch, with padding counted. At least the padded
            length of the longest text. None is no limit.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0: each epoch
            draws other subword pieces of the same texts; a text whose draw does not fit the shape
            of its batch keeps the tokenizer's own pieces. None always takes the tokenizer's own
            pieces. Not for dev and test.
        **kwargs: For `keras.utils.PyDataset`.

    Raises:
        ValueError: If there are no texts, a text is empty, a text is too long for a preprocessor
            with `truncate="error"`, a number is out of range, or `subword_sampling` is given and
            the tokenizer has no unigram model.
    """

    def __init__(
        self,
        texts: Sequence,
        preprocessor: keras.layers.Layer,
        *,
        batch_size: int | None = None,
        max_tokens: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        subword_sampling: float | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_at_least(1, batch_size=batch_size, max_tokens=max_tokens)
        check_at_least(0, seed=seed)
        if subword_sampling is not None:
            check_alpha(subword_sampling)
        texts = list(texts)
        preprocessor.check_texts(texts)
        self.preprocessor = preprocessor
        self.batch_size = 32 if batch_size is None and max_tokens is None else batch_size
        self.max_tokens = max_tokens
        self.shuffle = shuffle
        self.seed = seed
        self.subword_sampling = subword_sampling
        self._ids = self._drawn_ids = self._tokenize(texts)
        preprocessor.length_of(self._ids)  # Warns about texts that are too long.
        self._lengths = np.array([len(ids) for ids in self._ids])
        self._sampler = None
        if subword_sampling is not None:
            tokenizer = preprocessor.tokenizer
            self._sampler = SubwordSampler(tokenizer, texts, alpha=subword_sampling)
            # Usual lengths of draws: the texts and the shape of a batch stay the same in each
            # epoch.
            self._lengths = np.maximum(self._lengths, self._sampler.usual_lengths)
        self._bounds = self._cut(np.sort(self._lengths))
        self.epoch = 0

    @property
    def padding_fraction(self) -> float:
        """Share of padding among an epoch's cells. In [0, 1)."""
        masks = [self._pack(rows)["padding_mask"] for rows in self._plan]
        return 1.0 - sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)

    def _tokenize(self, texts):
        """Return the ids of all rows, without special tokens at their ends."""
        return self.preprocessor.tokenize(texts)

    def _pack(self, rows):
        """Pack the epoch's ids; a text whose draw does not fit has its own ids."""
        preprocessor = self.preprocessor
        length = preprocessor.length_of([[0] * self._lengths[rows].max()], truncate="silent")
        room = length - preprocessor.add_start - preprocessor.add_end
        ids = choose_ids(self._drawn_ids, self._ids, rows, room)
        return preprocessor.pack_tokens(ids, length)

    def _cut(self, lengths):
        """Return the first rows of all batches after the first one, for lengths in rising order."""
        most = {}
        for length in np.unique(lengths)[::-1].tolist():
            padded = self.preprocessor.length_of([[0] * length], truncate="silent")
            most[length] = self._find_batch_size(padded, "what the longest text is padded to")
        bounds = [0]
        for place, length in enumerate(lengths.tolist()):
            if place - bounds[-1] >= most[length]:
                bounds.append(place)
        return bounds[1:]

    def _make_plan(self, epoch):
        """Return the rows of each batch of the epoch, in order."""
        if self._sampler is not None:
            self._drawn_ids = self._sampler.draw(self._pieces_generator(epoch))
        generator = np.random.default_rng((self.seed, epoch))
        # Texts of equal length are combined differently in each epoch.
        ties = generator.random(len(self._ids)) if self.shuffle else np.arange(len(self._ids))
        plan = np.split(np.lexsort((ties, self._lengths)), self._bounds)
        return self._arrange(plan, generator)

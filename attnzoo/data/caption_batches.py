"""Batches of pictures with captions of similar length."""

from collections.abc import Iterable

import keras
import numpy as np

from attnzoo.checks import check_at_least
from attnzoo.data.shaped_batches import ShapedBatches
from attnzoo.data.tokenized_pairs import pack_ids, special_id, tokenize_targets


class CaptionBatches(ShapedBatches):
    """Pictures and tokenized captions, for `fit` and `evaluate` of an `ImageCaptioner`.

    All pictures are read and resized in the constructor. Captions are padded to at most
    `num_buckets` lengths, each of which costs a compilation. Every batch is full; the last one is
    filled with copies of weight 0. The order of an epoch is as in `BucketedBatches`.

    Args:
        pairs: (picture, caption) pairs, such as `attnzoo.data.read_captions` gives them. At least
            one.
        preprocessor: The task's preprocessor.
        batch_size: Pairs in a batch. At least 1.
        num_buckets: Largest number of lengths. At least 1.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)`, NumPy arrays. `x` has "images" float32 [B, H, W, C],
        "decoder_token_ids" int32 [B, T] and "decoder_padding_mask" bool [B, T]; `y` is int32
        [B, T], the ids one step later; `sample_weight` is float32 [B, T], 1 at real tokens and
        `[END]`, 0 elsewhere.

    Raises:
        ValueError: If there are no pairs, a picture cannot be read, a caption is no string, or too
            long for a preprocessor with `truncate="error"`, or a number is out of range.

    Example:
        >>> pairs = attnzoo.data.read_captions("train.npz", "train.tsv.gz")
        >>> batches = attnzoo.data.CaptionBatches(pairs, task.preprocessor, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
    """

    def __init__(
        self,
        pairs: Iterable[tuple],
        preprocessor: keras.layers.Layer,
        *,
        batch_size: int = 64,
        num_buckets: int = 5,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_at_least(1, batch_size=batch_size, num_buckets=num_buckets)
        check_at_least(0, seed=seed)
        pairs = list(pairs)
        self.batch_size, self.max_tokens = batch_size, None
        self.num_buckets = num_buckets
        self.shuffle = shuffle
        self.seed = seed
        self._preprocessor = preprocessor
        self._pad_id = special_id(preprocessor.tokenizer, "pad")
        self._images = preprocessor.read_samples([image for image, _ in pairs])
        self._targets = tokenize_targets([caption for _, caption in pairs], preprocessor)
        self._source_lengths = np.ones(len(pairs), "int64")  # Pictures are all of one size.
        self._target_lengths = np.array([len(ids) - 1 for ids in self._targets])
        self._make_buckets()
        self.epoch = 0

    @property
    def padding_fraction(self) -> float:
        """Share of padding among the cells of the captions. In [0, 1)."""
        cells = sum(
            self._batch_sizes[bucket] * self._buckets[bucket][1] for bucket, _ in self._plan
        )
        return 1.0 - int(self._target_lengths.sum()) / cells

    def __getitem__(self, index):
        bucket, rows = self._planned(index)
        filled = self._filled(bucket, rows)
        targets = [self._targets[row] for row in filled]
        packing = {"length": self._buckets[bucket][1], "pad_token_id": self._pad_id}
        decoder_ids, decoder_mask = pack_ids([ids[:-1] for ids in targets], **packing)
        labels, _ = pack_ids([ids[1:] for ids in targets], **packing)
        sample_weight = decoder_mask.astype("float32")
        sample_weight[len(rows) :] = 0.0
        x = {
            **self._preprocessor.pack_sources(self._images[filled]),
            "decoder_token_ids": decoder_ids,
            "decoder_padding_mask": decoder_mask,
        }
        return x, labels, sample_weight

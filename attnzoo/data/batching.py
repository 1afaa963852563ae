"""Batches of pairs of similar length, in a few fixed shapes."""

from collections.abc import Iterable

import keras
import numpy as np

from attnzoo.checks import check_at_least
from attnzoo.data.shaped_batches import ShapedBatches
from attnzoo.data.subword_sampling import SubwordSampler, check_alpha, choose_ids
from attnzoo.data.tokenized_pairs import pack_ids, special_id, tokenize_pairs


class BucketedBatches(ShapedBatches):
    """Tokenized pairs in batches of few shapes with little padding, for `fit` and `evaluate`.

    Each new batch shape (B, S, T) costs a compilation, so there are at most `num_buckets` shapes,
    chosen to hold the pairs with the least padding (`find_buckets`). B is the same for all shapes,
    or, with `max_tokens`, depends on the shape:

        B = max_tokens // max(S, T)

    Every batch is full: the pairs left over in one bucket move to the next, which is at least as
    large on both axes, and the last batch is filled with copies of weight 0. The epoch's order
    depends on `seed` and `epoch` alone. By default `fit` shuffles a dataset's batches once more,
    from Python's global random state: pass `shuffle=False` to `fit` for a reproducible order.

    With `subword_sampling` (Kudo 2018) each epoch segments the same texts into other subword
    pieces, drawn from the tokenizers' unigram models; it often helps if there are few pairs. A draw
    has more pieces than the tokenizer's own segmentation, and the more, the smaller the exponent.
    If a draw does not fit the shape of its batch, the tokenizer's own pieces are used if they fit.

    Differs from the usual: the first batch has the smallest shape and the second has the largest.
    On TensorFlow, Keras infers from these two which sizes vary.

    Args:
        pairs: (source, target) pairs of strings. At least one.
        preprocessor: Has `source_tokenizer` and `tokenizer` (of the target), with the special
            tokens `[PAD]`, `[START]` and `[END]`, and the largest lengths `encoder_sequence_length`
            and `decoder_sequence_length`, in tokens with `[END]` counted, or `None`.
        batch_size: Pairs in a batch; with `max_tokens` the largest number of pairs. At least 1.
            None is 64, and with `max_tokens` no limit.
        max_tokens: Largest number of tokens in a batch, for sources and for targets each, with
            padding counted. At least the length of the longest source or target (with
            `subword_sampling`, its usual length). None is no limit.
        num_buckets: Largest number of shapes. At least 1. Five keep the padding near 12 % for words
            and their pronunciations.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0; None always
            takes the tokenizer's own pieces. Not for dev and test.
        long_pairs: How to treat pairs longer than the preprocessor's lengths: "truncate", by the
            preprocessor's `truncate` ("warn", "silent" or "error"), or "drop". A warning gives
            their number.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)`, NumPy arrays. `x` has "encoder_token_ids" int32 [B, S],
        "encoder_padding_mask" bool [B, S], "decoder_token_ids" int32 [B, T] and
        "decoder_padding_mask" bool [B, T], and for a preprocessor with `pointer_generator=True`
        "copy_token_ids" int32 [B, S]; `y` is int32 [B, T], the decoder's ids one step later;
        `sample_weight` is float32 [B, T], 1 at real tokens and `[END]`, 0 elsewhere.

    Raises:
        ValueError: If the preprocessor has no source tokenizer, there are no pairs, a pair is not
            two strings, a source has no token, a pair is too long for a preprocessor with
            `truncate="error"`, a number is out of range, or `subword_sampling` is given and a
            tokenizer has no unigram model.

    Example:
        >>> batches = attnzoo.data.BucketedBatches(pairs, task.preprocessor, batch_size=64, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
        >>> batches.epoch = 10  # after a restart: go on as if there had been none
        >>> task.fit(batches, initial_epoch=10, epochs=20, shuffle=False)

    References:
        [Kudo, 2018](https://arxiv.org/abs/1804.10959) (subword regularization).
    """

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        preprocessor: keras.layers.Layer,
        *,
        batch_size: int | None = None,
        max_tokens: int | None = None,
        num_buckets: int = 5,
        shuffle: bool = True,
        seed: int = 0,
        subword_sampling: float | None = None,
        long_pairs: str = "truncate",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if getattr(preprocessor, "source_tokenizer", None) is None:
            raise ValueError(
                "`preprocessor` must have a `source_tokenizer` beside its `tokenizer`: these "
                "batches are of pairs of texts. For texts with labels there is "
                f"`attnzoo.data.LabelledBatches`. Received: preprocessor={preprocessor!r}"
            )
        check_at_least(1, batch_size=batch_size, max_tokens=max_tokens, num_buckets=num_buckets)
        check_at_least(0, seed=seed)
        if subword_sampling is not None:
            check_alpha(subword_sampling)
        if long_pairs not in ("truncate", "drop"):
            raise ValueError(
                f'`long_pairs` must be "truncate" or "drop". Received: long_pairs={long_pairs!r}'
            )
        tokenized = tokenize_pairs(pairs, preprocessor, drop_long=long_pairs == "drop")
        self.batch_size = 64 if batch_size is None and max_tokens is None else batch_size
        self.max_tokens = max_tokens
        self.num_buckets = num_buckets
        self.shuffle = shuffle
        self.seed = seed
        self.subword_sampling = subword_sampling
        self.long_pairs = long_pairs
        self._source_pad_id = special_id(preprocessor.source_tokenizer, "pad")
        self._target_pad_id = special_id(preprocessor.tokenizer, "pad")
        self._sources, self._targets = tokenized.sources, tokenized.targets
        self._copies = tokenized.copies
        self._source_lengths = tokenized.source_lengths
        self._target_lengths = tokenized.target_lengths
        self._samplers = None
        if subword_sampling is not None:
            self._samplers = self._make_samplers(tokenized.pairs, preprocessor, subword_sampling)
        self._make_buckets()
        self.epoch = 0

    @property
    def padding_fraction(self) -> float:
        """Share of padding among the cells of source and target together. In [0, 1)."""
        cells = tokens = 0
        for bucket, rows in self._plan:
            cells += self._batch_sizes[bucket] * sum(self._buckets[bucket])
            sources, targets = self._ids_of(bucket, rows)
            tokens += sum(map(len, sources)) + sum(len(ids) - 1 for ids in targets)
        return 1.0 - tokens / cells

    def __getitem__(self, index):
        bucket, rows = self._planned(index)
        source_length, target_length = self._buckets[bucket]
        filled = self._filled(bucket, rows)
        sources, targets = self._ids_of(bucket, filled)
        encoder_ids, encoder_mask = pack_ids(
            sources, length=source_length, pad_token_id=self._source_pad_id
        )
        decoder_ids, decoder_mask = pack_ids(
            [ids[:-1] for ids in targets], length=target_length, pad_token_id=self._target_pad_id
        )
        labels, _ = pack_ids(
            [ids[1:] for ids in targets], length=target_length, pad_token_id=self._target_pad_id
        )
        sample_weight = decoder_mask.astype("float32")
        sample_weight[len(rows) :] = 0.0
        x = {
            "encoder_token_ids": encoder_ids,
            "encoder_padding_mask": encoder_mask,
            "decoder_token_ids": decoder_ids,
            "decoder_padding_mask": decoder_mask,
        }
        if self._copies:
            x["copy_token_ids"], _ = pack_ids(
                [self._copies[row] for row in filled],
                length=source_length,
                pad_token_id=self._target_pad_id,
            )
        return x, labels, sample_weight

    def _ids_of(self, bucket, rows):
        """Return ids of sources and targets: the epoch's draws, or own ids if these do not fit."""
        source_length, target_length = self._buckets[bucket]
        return (
            choose_ids(self._drawn_sources, self._sources, rows, source_length),
            choose_ids(self._drawn_targets, self._targets, rows, target_length + 1),
        )

    def _make_samplers(self, pairs, preprocessor, alpha):
        """Return subword samplers, and raise the lengths to the usual lengths of draws."""
        tokenizers = preprocessor.source_tokenizer, preprocessor.tokenizer
        samplers = [
            SubwordSampler(tokenizer, texts, alpha=alpha)
            for tokenizer, texts in zip(tokenizers, zip(*pairs, strict=True), strict=True)
        ]
        limits = preprocessor.encoder_sequence_length, preprocessor.decoder_sequence_length
        self._source_lengths, self._target_lengths = (
            np.maximum(own, np.minimum(sampler.usual_lengths + 1, limit or np.inf).astype(int))
            for own, sampler, limit in zip(
                (self._source_lengths, self._target_lengths), samplers, limits, strict=True
            )
        )
        # Draws of truncated texts are truncated too; all other draws are complete, or replaced by
        # own ids.
        self._rooms = [
            [limit - 1 if limit and length >= limit else None for length in sampler.own_lengths]
            for sampler, limit in zip(samplers, limits, strict=True)
        ]
        return samplers

    def _draw(self, epoch):
        """Draw the ids of the epoch."""
        self._drawn_sources, self._drawn_targets = self._sources, self._targets
        if self._samplers is None:
            return
        generator = self._pieces_generator(epoch)
        sources, targets = (
            [ids[:room] for ids, room in zip(sampler.draw(generator), rooms, strict=True)]
            for sampler, rooms in zip(self._samplers, self._rooms, strict=True)
        )
        # The tokenizers' own ids include the special tokens.
        self._drawn_sources = [
            ids + own[-1:] for ids, own in zip(sources, self._sources, strict=True)
        ]
        self._drawn_targets = [
            own[:1] + ids + own[-1:] for ids, own in zip(targets, self._targets, strict=True)
        ]

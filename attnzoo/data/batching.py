"""Batches of pairs of similar length, in a few fixed shapes."""

import itertools
import warnings
from collections.abc import Iterable

import numpy as np

from attnzoo.checks import check_at_least
from attnzoo.data.planned_batches import PlannedBatches
from attnzoo.data.subword_sampling import SubwordSampler, check_alpha, choose_ids, tokenize_all

# Lengths that `find_buckets` tries as bounds, on each axis.
MAX_CANDIDATES = 40


class BucketedBatches(PlannedBatches):
    """Tokenized pairs in batches of few shapes with little padding, for `fit` and `evaluate`.

    A batch shape (B, S, T) that was not seen before costs a compilation, so there are `num_buckets`
    of them, chosen to hold the pairs with the least padding (`find_buckets`). B is the same for
    all, or, with `max_tokens`, as many pairs as have room:

        B = max_tokens // max(S, T)

    Every batch is full: the pairs left over in one bucket move up to the next, which is at least as
    large both ways, and the last batch of all is filled up with copies of weight 0. The epoch's
    order depends on `seed` and `epoch` alone. `fit` shuffles a dataset's batches once more, from
    Python's global random state, unless it is told `shuffle=False`: tell it so to see the same
    order again.

    With `subword_sampling` (Kudo 2018) each epoch has the same texts in other pieces, drawn from
    the tokenizers' unigram models; it often helps where there are few pairs. There are more of them
    than the tokenizer's own, the more the smaller the exponent. A draw that has no room in its
    batch's shape gives way to the tokenizer's own pieces, if these have it.

    Differs from the usual: the first batch has the smallest shape and the second has the largest.
    On TensorFlow, Keras takes from these two which sizes vary.

    Args:
        pairs: (source, target) pairs of strings. At least one.
        preprocessor: Gives `source_tokenizer` and `tokenizer` (of the target), with the special
            tokens `[PAD]`, `[START]` and `[END]`, and the longest lengths
            `encoder_sequence_length` and `decoder_sequence_length`, in tokens with `[END]`
            counted, or `None`.
        batch_size: Pairs in a batch, with `max_tokens` the most pairs. At least 1. None is 64, and
            with `max_tokens` any number.
        max_tokens: The most tokens in a batch, of the source and of the target each, padding
            counted. At least as many as the longest pair has, or usually has where pieces are
            drawn, either way. None is no limit.
        num_buckets: Largest number of shapes. At least 1. Five keep the padding near 12 % for words
            and their pronunciations.
        shuffle: Whether each epoch has another order. Otherwise all have the same.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0; None is the
            tokenizer's own pieces, always. Not for dev and test.
        long_pairs: What to do with pairs longer than the preprocessor's lengths: "truncate", as its
            own `truncate` says ("warn", "silent" or "error"), or "drop". A warning gives their
            number.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)`, NumPy arrays. `x` has "encoder_token_ids" int32 [B, S],
        "encoder_padding_mask" bool [B, S], "decoder_token_ids" int32 [B, T] and
        "decoder_padding_mask" bool [B, T], and for a preprocessor with `pointer_generator=True`
        "copy_token_ids" int32 [B, S]; `y` is int32 [B, T], the decoder's ids one step later;
        `sample_weight` is float32 [B, T], 1 at real tokens and `[END]`, 0 elsewhere.

    Raises:
        ValueError: If the preprocessor has no source tokenizer, there are no pairs, a pair is not
            two strings, a source has no token, one is too long for a preprocessor with
            `truncate="error"`, a number is out of range, or pieces are to be drawn and a tokenizer
            has no unigram model.

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
        preprocessor,
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
        pairs = _checked(pairs)
        self.batch_size = 64 if batch_size is None and max_tokens is None else batch_size
        self.max_tokens = max_tokens
        self.num_buckets = num_buckets
        self.shuffle = shuffle
        self.seed = seed
        self.subword_sampling = subword_sampling
        self.long_pairs = long_pairs
        self._source_pad_id = _special_id(preprocessor.source_tokenizer, "pad")
        self._target_pad_id = _special_id(preprocessor.tokenizer, "pad")
        self._points = getattr(preprocessor, "pointer_generator", False)
        pairs, self._sources, self._targets, self._copies = self._tokenize(pairs, preprocessor)
        self._source_lengths = np.array([len(ids) for ids in self._sources])
        # [START] is input only, [END] is label only.
        self._target_lengths = np.array([len(ids) - 1 for ids in self._targets])
        self._samplers = None
        if subword_sampling is not None:
            self._samplers = self._make_samplers(pairs, preprocessor)
        self._buckets = find_buckets(
            self._source_lengths, self._target_lengths, num_buckets=num_buckets
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
        self.epoch = 0

    @property
    def buckets(self) -> list[tuple[int, int]]:
        """The shapes (S, T) in tokens, from the smallest to the largest."""
        return list(self._buckets)

    @property
    def batch_sizes(self) -> list[int]:
        """B of each shape, in pairs."""
        return list(self._batch_sizes)

    @property
    def padding_fraction(self) -> float:
        """Part of the cells, of source and target together, that holds no token. In [0, 1)."""
        cells = tokens = 0
        for bucket, rows in self._plan:
            cells += self._batch_sizes[bucket] * sum(self._buckets[bucket])
            sources, targets = self._ids_of(bucket, rows)
            tokens += sum(map(len, sources)) + sum(len(ids) - 1 for ids in targets)
        return 1.0 - tokens / cells

    def __getitem__(self, index):
        bucket, rows = self._planned(index)
        source_length, target_length = self._buckets[bucket]
        copies = np.repeat(rows[:1], self._batch_sizes[bucket] - len(rows))
        filled = np.concatenate([rows, copies])
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
        if self._points:
            x["copy_token_ids"], _ = pack_ids(
                [self._copies[row] for row in filled],
                length=source_length,
                pad_token_id=self._target_pad_id,
            )
        return x, labels, sample_weight

    def _ids_of(self, bucket, rows):
        """Ids of sources and targets: the epoch's, or their own where these have no room."""
        source_length, target_length = self._buckets[bucket]
        return (
            choose_ids(self._drawn_sources, self._sources, rows, source_length),
            choose_ids(self._drawn_targets, self._targets, rows, target_length + 1),
        )

    def _make_samplers(self, pairs, preprocessor):
        """What draws other pieces; lengths are those that draws usually have, from now on."""
        tokenizers = preprocessor.source_tokenizer, preprocessor.tokenizer
        samplers = [
            SubwordSampler(tokenizer, texts, alpha=self.subword_sampling)
            for tokenizer, texts in zip(tokenizers, zip(*pairs, strict=True), strict=True)
        ]
        limits = preprocessor.encoder_sequence_length, preprocessor.decoder_sequence_length
        self._source_lengths, self._target_lengths = (
            np.maximum(own, np.minimum(sampler.usual_lengths + 1, limit or np.inf).astype(int))
            for own, sampler, limit in zip(
                (self._source_lengths, self._target_lengths), samplers, limits, strict=True
            )
        )
        # A draw of what was cut is cut too; any other has its text whole, or gives way.
        self._rooms = [
            [limit - 1 if limit and length >= limit else None for length in sampler.own_lengths]
            for sampler, limit in zip(samplers, limits, strict=True)
        ]
        return samplers

    def _draw(self, epoch):
        """The ids of the epoch."""
        self._drawn_sources, self._drawn_targets = self._sources, self._targets
        if self._samplers is None:
            return
        generator = self._pieces_generator(epoch)
        sources, targets = (
            [ids[:room] for ids, room in zip(sampler.draw(generator), rooms, strict=True)]
            for sampler, rooms in zip(self._samplers, self._rooms, strict=True)
        )
        # Their own ids have the special tokens.
        self._drawn_sources = [
            ids + own[-1:] for ids, own in zip(sources, self._sources, strict=True)
        ]
        self._drawn_targets = [
            own[:1] + ids + own[-1:] for ids, own in zip(targets, self._targets, strict=True)
        ]

    def _tokenize(self, pairs, preprocessor):
        """The pairs that are kept, and of them the ids of sources, with [END], of targets, with
        [START] and [END], and of copies.
        """
        source_tokenizer, tokenizer = preprocessor.source_tokenizer, preprocessor.tokenizer
        source_end = [_special_id(source_tokenizer, "end")]
        start, end = [_special_id(tokenizer, "start")], [_special_id(tokenizer, "end")]
        longest_source = preprocessor.encoder_sequence_length or float("inf")
        longest_target = preprocessor.decoder_sequence_length or float("inf")
        kept, sources, targets, copies, num_long = [], [], [], [], 0
        all_source_ids = tokenize_all(source_tokenizer, [source for source, _ in pairs])
        all_target_ids = tokenize_all(tokenizer, [target for _, target in pairs])
        treatment = getattr(preprocessor, "truncate", "warn")
        if self.long_pairs == "drop":
            treatment = "drop"
        for position, ids in enumerate(all_source_ids):
            target_ids = all_target_ids[position]
            if not ids:
                raise ValueError(
                    "The source of a pair must have at least one token. "
                    f"Received: {pairs[position][0]!r} at position {position}"
                )
            if len(ids) + 1 > longest_source or len(target_ids) + 1 > longest_target:
                num_long += 1
                if treatment == "drop":
                    continue
                if treatment == "error":
                    raise ValueError(
                        f"A pair must have at most {longest_source} source and {longest_target} "
                        f"target tokens, [END] counted. Received: {len(ids) + 1} and "
                        f"{len(target_ids) + 1} at position {position}"
                    )
                # Each limit counts [END].
                ids = ids[: int(min(len(ids), longest_source - 1))]
                target_ids = target_ids[: int(min(len(target_ids), longest_target - 1))]
            if self._points:
                source, target = pairs[position]
                copied, target_ids = _point(preprocessor, source, target, len(ids))
                target_ids = target_ids[: int(min(len(target_ids), longest_target - 1))]
                copies.append(copied + end)
            kept.append(pairs[position])
            sources.append(ids + source_end)
            targets.append(start + target_ids + end)
        if num_long and treatment != "silent":
            done = "dropped" if treatment == "drop" else "truncated"
            warnings.warn(
                f"{num_long} of {len(pairs)} pairs were {done}: the preprocessor takes "
                f"{longest_source} source and {longest_target} target tokens, [END] counted.",
                stacklevel=3,
            )
        if not sources:
            raise ValueError(
                "`pairs` must hold a pair that is short enough. "
                f"Received: {len(pairs)} pairs, all dropped"
            )
        return kept, sources, targets, copies

    def _make_plan(self, epoch):
        """The epoch's batches in order: (bucket, rows), at most B rows each."""
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


def find_buckets(source_lengths, target_lengths, *, num_buckets: int) -> list[tuple[int, int]]:
    """Find the shapes (S, T) that hold all pairs with the fewest cells.

    The shapes form a chain, each at least as large both ways as the one before, and a pair goes to
    the first that holds it. With n(S, T) the number of pairs that fit in (S, T), the chain
    (S1, T1), ..., (Sk, Tk) has

        cells = sum_k [n(Sk, Tk) - n(Sk-1, Tk-1)] (Sk + Tk)

    and dynamic programming over k finds the best chain. Where an axis has more than 40 different
    lengths, 40 quantiles stand for them.

    Args:
        source_lengths: int [pairs]. In tokens.
        target_lengths: int [pairs]. In tokens.
        num_buckets: Largest number of shapes. At least 1.

    Returns:
        At most `num_buckets` shapes, the smallest first; fewer where more would not save a cell.
    """
    source_lengths, target_lengths = np.asarray(source_lengths), np.asarray(target_lengths)
    source_bounds, target_bounds = _candidates(source_lengths), _candidates(target_lengths)
    # histogram[i, j]: pairs whose smallest bounds are source_bounds[i] and target_bounds[j].
    histogram = np.zeros((len(source_bounds), len(target_bounds)), "int64")
    places = (
        np.searchsorted(source_bounds, source_lengths),
        np.searchsorted(target_bounds, target_lengths),
    )
    np.add.at(histogram, places, 1)
    counts = histogram.cumsum(axis=0).cumsum(axis=1).ravel()
    shapes = np.array(list(itertools.product(source_bounds, target_bounds)))
    sizes = shapes.sum(axis=1)
    holds = (shapes[:, None, :] <= shapes[None, :, :]).all(axis=-1)
    # added[i, j]: cells of the pairs that fit in shape j and not in shape i, in shape j.
    added = np.where(holds, (counts[None, :] - counts[:, None]) * sizes[None, :], np.inf)
    best, previous = counts * sizes, []
    for _ in range(num_buckets - 1):
        totals = best[:, None] + added
        choice = totals.argmin(axis=0)
        total = totals[choice, np.arange(len(shapes))]
        if total[-1] >= best[-1]:
            break
        best = total
        previous.append(choice)
    last = len(shapes) - 1
    chain = [last]
    for choice in reversed(previous):
        last = choice[last]
        chain.append(last)
    return [tuple(int(length) for length in shapes[place]) for place in reversed(chain)]


def pack_ids(id_lists: list[list[int]], *, length: int, pad_token_id: int = 0):
    """Pack lists of ids of different lengths, none above `length`, into one array.

    Returns:
        Ids int32 [B, length], and the mask bool [B, length] of what is not padding.
    """
    lengths = np.fromiter(map(len, id_lists), "int64", len(id_lists))
    mask = np.arange(length) < lengths[:, None]  # [B, length]
    ids = np.full(mask.shape, pad_token_id, "int32")
    ids[mask] = np.fromiter(itertools.chain.from_iterable(id_lists), "int32", lengths.sum())
    return ids, mask


def _candidates(lengths):
    """The different lengths in order, or, of too many, quantiles with the largest among them."""
    if len(np.unique(lengths)) > MAX_CANDIDATES:
        quantiles = np.linspace(0, 1, MAX_CANDIDATES)
        lengths = np.quantile(lengths, quantiles, method="higher")
    return np.unique(lengths)


def _checked(pairs):
    pairs = list(pairs)
    if not pairs:
        raise ValueError("`pairs` must hold at least one pair. Received: no pairs")
    for position, pair in enumerate(pairs):
        strings = isinstance(pair, (tuple, list)) and all(isinstance(text, str) for text in pair)
        if not strings or len(pair) != 2:
            raise ValueError(
                "A pair must be two strings, source and target. "
                f"Received: {pair!r} at position {position}"
            )
    return pairs


def _point(preprocessor, source, target, source_length):
    """What copying each symbol of a source would say, and the target that may say them: ids."""
    from attnzoo.data.copying import copy_ids, extend_ids

    tokenizer = preprocessor.tokenizer
    symbols = preprocessor.source_symbols(source, source_length + 1)
    copied = copy_ids(symbols, tokenizer)
    return copied, extend_ids(tokenizer.symbols(target), symbols, tokenizer)


def _special_id(tokenizer, name):
    """Id of [PAD], [START] or [END]: an attribute of our tokenizers, a token of others."""
    id = getattr(tokenizer, f"{name}_token_id", None)
    return tokenizer.token_to_id(f"[{name.upper()}]") if id is None else id

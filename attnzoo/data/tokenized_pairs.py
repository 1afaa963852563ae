"""Tokenized pairs with special tokens, truncated to the preprocessor's lengths."""

import dataclasses
import itertools
import warnings
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from attnzoo.data.subword_sampling import tokenize_all


@dataclasses.dataclass
class TokenizedPairs:
    """Ids of pairs.

    Args:
        pairs: The texts of the kept pairs.
        sources: The source ids of each pair, `[END]` last.
        targets: The target ids of each pair, from `[START]` to `[END]`.
        copies: For a pointer-generator, the ids for copies of each source's symbols; else empty.
    """

    pairs: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    sources: list[list[int]] = dataclasses.field(default_factory=list)
    targets: list[list[int]] = dataclasses.field(default_factory=list)
    copies: list[list[int]] = dataclasses.field(default_factory=list)

    @property
    def source_lengths(self) -> np.ndarray:
        """int [pairs], in tokens, with `[END]`."""
        return np.array([len(ids) for ids in self.sources])

    @property
    def target_lengths(self) -> np.ndarray:
        """int [pairs], in decoder steps: `[START]` is only an input, and `[END]` only a label."""
        return np.array([len(ids) - 1 for ids in self.targets])

    def append(
        self,
        pair: tuple[str, str],
        source: list[int],
        target: list[int],
        copied: list[int],
        special: tuple[int, int, int],
    ) -> None:
        """Append a pair, and add the special ids.

        Args:
            pair: The texts.
            source, target: Their ids.
            copied: The ids of the source's symbols as copies; empty if nothing is copied.
            special: Ids of the source's `[END]`, and of the target's `[START]` and `[END]`.
        """
        source_end, start, end = special
        self.pairs.append(pair)
        self.sources.append([*source, source_end])
        self.targets.append([start, *target, end])
        if copied:
            self.copies.append([*copied, end])


def tokenize_pairs(
    pairs: Iterable[tuple[str, str]], preprocessor: keras.layers.Layer, *, drop_long: bool
) -> TokenizedPairs:
    """Tokenize pairs, and truncate or drop pairs that are too long for a preprocessor.

    Args:
        pairs: (source, target) pairs of strings. At least one.
        preprocessor: Has the tokenizers, the largest lengths and `truncate`.
        drop_long: Whether pairs that are too long are dropped, whatever `truncate` says.

    Raises:
        ValueError: If there are no pairs, a pair is not two strings, a source has no token, a pair
            is too long for `truncate="error"`, or all pairs are dropped.
    """
    pairs = _check_pairs(pairs)
    treatment = "drop" if drop_long else getattr(preprocessor, "truncate", "warn")
    longest_source = preprocessor.encoder_sequence_length or float("inf")
    longest_target = preprocessor.decoder_sequence_length or float("inf")
    all_sources = tokenize_all(preprocessor.source_tokenizer, [source for source, _ in pairs])
    all_targets = tokenize_all(preprocessor.tokenizer, [target for _, target in pairs])
    special = _special_ids(preprocessor)
    found, num_long = TokenizedPairs(), 0
    for position, (source, target) in enumerate(zip(all_sources, all_targets, strict=True)):
        if not source:
            raise ValueError(
                "The source of a pair must have at least one token. "
                f"Received: {pairs[position][0]!r} at position {position}"
            )
        if len(source) + 1 > longest_source or len(target) + 1 > longest_target:
            num_long += 1
            if treatment == "drop":
                continue
            if treatment == "error":
                raise ValueError(
                    f"A pair must have at most {longest_source} source and {longest_target} "
                    f"target tokens, [END] counted. Received: {len(source) + 1} and "
                    f"{len(target) + 1} at position {position}"
                )
        # Each limit counts [END].
        source = source[: int(min(len(source), longest_source - 1))]
        copied = []
        if getattr(preprocessor, "pointer_generator", False):
            copied, target = _point(preprocessor, *pairs[position], len(source))
        target = target[: int(min(len(target), longest_target - 1))]
        found.append(pairs[position], source, target, copied, special)
    if num_long and treatment != "silent":
        done = "dropped" if treatment == "drop" else "truncated"
        warnings.warn(
            f"{num_long} of {len(pairs)} pairs were {done}: the preprocessor takes "
            f"{longest_source} source and {longest_target} target tokens, [END] counted.",
            stacklevel=3,
        )
    if not found.sources:
        raise ValueError(
            "`pairs` must hold a pair that is short enough. "
            f"Received: {len(pairs)} pairs, all dropped"
        )
    return found


def tokenize_targets(texts: Sequence[str], preprocessor: keras.layers.Layer) -> list[list[int]]:
    """Tokenize targets of sources that are no texts, and truncate those that are too long.

    Args:
        texts: Strings, which may be empty.
        preprocessor: Has the tokenizer, the largest length `decoder_sequence_length` and
            `truncate`.

    Returns:
        The ids of each target, from `[START]` to `[END]`.

    Raises:
        ValueError: If there are none, one is no string, or is too long for `truncate="error"`.
    """
    if not len(texts) or not all(isinstance(text, str) for text in texts):
        received = next((text for text in texts if not isinstance(text, str)), "none")
        raise ValueError(f"Targets must be strings, one or more. Received: {received!r}")
    tokenizer, limit = preprocessor.tokenizer, preprocessor.decoder_sequence_length - 1
    start, end = special_id(tokenizer, "start"), special_id(tokenizer, "end")
    rows = tokenize_all(tokenizer, list(texts))
    num_long = sum(len(ids) > limit for ids in rows)
    treatment = getattr(preprocessor, "truncate", "warn")
    rule = f"{num_long} of {len(rows)} targets have more than {limit + 1} tokens, [END] counted"
    if num_long and treatment == "error":
        raise ValueError(
            f"A target must have at most {limit + 1} tokens, [END] counted. Received: {rule}"
        )
    if num_long and treatment == "warn":
        warnings.warn(f"{rule}, and were truncated.", stacklevel=3)
    return [[start, *ids[:limit], end] for ids in rows]


def special_id(tokenizer: keras.layers.Layer, name: str) -> int:
    """Return the id of "pad", "start" or "end", from an attribute or the token of that name."""
    id = getattr(tokenizer, f"{name}_token_id", None)
    return tokenizer.token_to_id(f"[{name.upper()}]") if id is None else id


def _special_ids(preprocessor):
    """Return the ids of the source's `[END]`, and the target's `[START]` and `[END]`."""
    source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
    return special_id(source, "end"), special_id(target, "start"), special_id(target, "end")


def pack_ids(id_lists: Sequence[Sequence[int]], *, length: int, pad_token_id: int = 0):
    """Pack lists of ids, each of at most `length` ids, into one array.

    Returns:
        Ids int32 [B, length], and the mask bool [B, length], True at real tokens.
    """
    lengths = np.fromiter(map(len, id_lists), "int64", len(id_lists))
    mask = np.arange(length) < lengths[:, None]  # [B, length]
    ids = np.full(mask.shape, pad_token_id, "int32")
    ids[mask] = np.fromiter(itertools.chain.from_iterable(id_lists), "int32", lengths.sum())
    return ids, mask


def _check_pairs(pairs) -> list[tuple[str, str]]:
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
    """Return the ids for copies of a source's symbols, and the target ids that use them."""
    from attnzoo.data.copying import copy_ids, extend_ids

    tokenizer = preprocessor.tokenizer
    symbols = preprocessor.source_symbols(source, source_length + 1)
    copied = copy_ids(symbols, tokenizer)
    return copied, extend_ids(tokenizer.symbols(target), symbols, tokenizer)

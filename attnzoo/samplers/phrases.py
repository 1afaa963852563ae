"""Phrases of tokens that an output must begin with, must not have, or must have."""

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from attnzoo.samplers.history import History

Phrase = str | Sequence[int]

# Values in tables of phrases: they equal no token.
_ANY = -2  # Where every token fits.
_NONE = -3  # Where no token fits.


def check_phrases(name: str, phrases: Sequence[Phrase]) -> list[Phrase]:
    """Return phrases, each a string or a list of ids; raise if one is neither."""
    if isinstance(phrases, (str, bytes)) or not isinstance(phrases, Sequence):
        raise ValueError(f"`{name}` must be a list of phrases. Received: {name}={phrases!r}")
    return [check_phrase(name, phrase) for phrase in phrases]


def check_phrase(name: str, phrase: Phrase) -> Phrase:
    """Return a phrase, a string or a list of ids; raise if it is neither, or empty."""
    if isinstance(phrase, str) and phrase.strip():
        return phrase
    try:
        ids = [int(token) for token in phrase if token == int(token)]
    except (TypeError, ValueError):
        ids = []
    if not ids or len(ids) != len(phrase) or min(ids) < 0:
        raise ValueError(
            f"`{name}` must have phrases that are texts, or lists of token ids, and not empty. "
            f"Received: {phrase!r}"
        )
    return ids


def as_ids(phrase: Phrase, tokenize: Callable[[str], list[int]]) -> list[int]:
    """Return the ids of a phrase."""
    return tokenize(phrase) if isinstance(phrase, str) else list(phrase)


def next_of_phrases(phrases: Sequence[Sequence[int]], history: History):
    """Return the last tokens of phrases, int [R, P], and whether each would complete its phrase.

    Args:
        phrases: P phrases of token ids.
        history: The known tokens of R outputs.
    """
    width = max(1, *(len(phrase) - 1 for phrase in phrases))  # Never 0, for every runtime.
    before = _table([phrase[:-1] for phrase in phrases], width)  # [P, M]
    complete = _fits(history.last(width)[:, None, :], before)  # [R, P]
    final = np.array([phrase[-1] for phrase in phrases], "int32")
    return ops.broadcast_to(final[None, :], ops.shape(complete)), complete


class WantedPhrases:
    """P phrases that an output must have: how far each output is, and what leads further.

    Lexically constrained beam search with dynamic beam allocation. The bank of a hypothesis is the
    number of wanted tokens that it has: those of whole phrases, and those of phrases that it has
    just begun. The K beams are divided among the banks: a hypothesis with more wanted tokens
    competes with its like, and not with a more probable one that has fewer. Only a hypothesis with
    all phrases may end.

    Differs from the paper: the phrases of a hypothesis are found in its tokens anew at every step,
    and if there are fewer beams than banks, those with more wanted tokens come first.

    Args:
        phrases: Lists of token ids.

    References:
        [Post & Vilar, 2018](https://arxiv.org/abs/1804.06609), section 3;
        [Hu et al., 2019](https://aclanthology.org/N19-1090).
    """

    def __init__(self, phrases: Sequence[Sequence[int]]):
        self.lengths = np.array([len(phrase) for phrase in phrases], "int32")
        width = int(self.lengths.max())
        self._phrases = np.full((len(phrases), width), _ANY, "int32")  # [P, M]
        for row, phrase in zip(self._phrases, phrases, strict=True):
            row[: len(phrase)] = phrase
        # The beginnings of 1 to M tokens, to be compared with the last M of an output: [M, P, M].
        self._beginnings = np.stack(
            [
                _table([p[:count] if count <= len(p) else [_NONE] * width for p in phrases], width)
                for count in range(1, width + 1)
            ]
        )

    @property
    def num_banks(self) -> int:
        """Number of banks: from no wanted token to all of them."""
        return int(self.lengths.sum()) + 1

    def met(self, history: History):
        """Return which phrases each output has, bool [R, P]."""
        windows = history.windows(self._phrases.shape[1])  # [R, T, M]
        return ops.any(_fits(windows[:, :, None, :], self._phrases), axis=1)

    def next_tokens(self, history: History, met, tokens):
        """Return the token that each phrase needs next, and whether it is a new candidate.

        Args:
            history: The known tokens of R outputs.
            met: bool [R, P]. The phrases that they have.
            tokens: int [R, C]. The candidates so far.

        Returns:
            int [R, P] and bool [R, P].
        """
        width = self._phrases.shape[1]
        begun = ops.where(met, 0, self._begun(history.last(width)))  # [R, P]
        place = ops.arange(width, dtype="int32") == begun[:, :, None]  # [R, P, M]
        more = ops.sum(ops.where(place, self._phrases, 0), axis=-1)
        known = ops.any(more[:, :, None] == tokens[:, None, :], axis=-1)
        places = np.arange(len(self._phrases))
        earlier = places[None, :] < places[:, None]  # [P, P]
        earlier = ops.logical_and(earlier, ops.logical_not(met)[:, None, :])  # [R, P, P]
        same = ops.logical_and(more[:, :, None] == more[:, None, :], earlier)
        known = ops.logical_or(known, ops.any(same, axis=-1))
        return more, ops.logical_not(ops.logical_or(known, met))

    def banks(self, history: History, met, tokens):
        """Return the banks of outputs continued by tokens int [R, C], int [R, C]."""
        width = self._phrases.shape[1]
        tokens = ops.cast(tokens, "int32")[:, :, None]  # [R, C, 1]
        last = history.last(width)[:, None, :] + ops.zeros_like(tokens)  # [R, C, M]
        grown = ops.concatenate([last, tokens], axis=-1)[:, :, 1:]
        begun = self._begun(grown)  # [R, C, P]
        return ops.sum(ops.where(met[:, None, :], self.lengths, begun), axis=-1)

    def order(self, scores, banks, num_beams: int):
        """Return a number for each candidate, float [B, C], by which to choose the best.

        Args:
            scores: float [B, C].
            banks: int [B, C].
            num_beams: K.
        """
        scarce = num_beams < self.num_banks
        quota = max(1, num_beams // self.num_banks)
        ahead = _precedes(scores)  # [B, C, C]: whether the second is ahead of the first.
        same = banks[:, :, None] == banks[:, None, :]
        rank = ops.sum(ops.cast(ops.logical_and(ahead, same), "int32"), axis=-1)  # [B, C]
        level = ops.cast(rank < quota, "int32") * (1 + (banks if scarce else 0))
        level = ops.where(scores > _DEAD, level, -1)
        higher = level[:, None, :] > level[:, :, None]
        equal = level[:, None, :] == level[:, :, None]
        first = ops.logical_or(higher, ops.logical_and(equal, ahead))
        return -ops.sum(ops.cast(first, "float32"), axis=-1)

    def _begun(self, last):
        """Return how many tokens of each phrase end an output int [..., M], int [..., P]."""
        fits = _fits(last[..., None, None, :], self._beginnings)  # [..., M, P]
        counts = np.arange(1, len(self._beginnings) + 1, dtype="int32")[:, None]
        return ops.max(ops.where(fits, counts, 0), axis=-2)


# A hypothesis with a lower score breaks a rule, or is none at all.
_DEAD = -1e6


def _table(phrases, width: int) -> np.ndarray:
    """Return phrases right-aligned, int32 [P, width]; every token fits in front of them."""
    table = np.full((len(phrases), width), _ANY, "int32")
    for row, phrase in zip(table, phrases, strict=True):
        row[width - len(phrase) :] = phrase
    return table


def _fits(tokens, table):
    """Return whether tokens int [..., 1, M] fit the rows of a table int [..., P, M]."""
    return ops.all(ops.logical_or(tokens == table, table == _ANY), axis=-1)


def _precedes(scores):
    """Return bool [B, C, C]: whether the second is better than the first, or equal and before."""
    first, second = scores[:, :, None], scores[:, None, :]
    places = ops.arange(ops.shape(scores)[1])
    before = places[None, :] < places[:, None]
    return ops.logical_or(second > first, ops.logical_and(second == first, before))

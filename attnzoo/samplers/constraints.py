"""What the rules of decoding do to one step: n-grams, repetition, end tokens, a prefix.

All are functions of the log-probabilities of one step and of the tokens before it, so that
nothing is carried from step to step.
"""

from collections.abc import Iterable, Sequence

from keras import ops

from attnzoo.samplers.history import NOTHING, History
from attnzoo.samplers.top_k import LOWEST


def penalize_repetition(log_probs, history: History, penalty: float):
    """Return log-probabilities [R, V], those of tokens that an output has times the penalty.

    Differs from the paper: it divides logits, which are unknown up to a constant.

    References:
        [Keskar et al., 2019](https://arxiv.org/abs/1909.05858), section 4.1.
    """
    seen = mark(history.tokens, history.tokens != NOTHING, log_probs)
    return ops.where(seen, penalty * log_probs, log_probs)


def next_of_ngrams(history: History, size: int):
    """Return tokens int [R, T], and which of them would repeat an n-gram of `size` tokens.

    References:
        [Paulus et al., 2018](https://arxiv.org/abs/1705.04304), section 2.5.
    """
    if size == 1:
        return history.tokens, history.tokens != NOTHING
    windows = history.windows(size)  # [R, T, size]
    tokens = windows[:, :, -1]
    same = windows[:, :, :-1] == history.last(size - 1)[:, None, :]
    return tokens, ops.logical_and(ops.all(same, axis=-1), tokens != NOTHING)


def forbid(log_probs, pairs: Iterable[tuple]):
    """Return log-probabilities [R, V] in which tokens have a probability of zero.

    Args:
        log_probs: float [R, V].
        pairs: Pairs of tokens int [R, M], and of which of them are forbidden, bool [R, M].
    """
    tokens, forbidden = (ops.concatenate(list(one), axis=1) for one in zip(*pairs, strict=True))
    return ops.where(mark(tokens, forbidden, log_probs), LOWEST, log_probs)


def ends_where(condition, stops: Sequence[int]):
    """Return the pair of the end tokens, int [R, E], and of a condition bool [R] for each."""
    shape = (ops.shape(condition)[0], len(stops))
    tokens = ops.broadcast_to(ops.convert_to_tensor(stops, "int32")[None, :], shape)
    return tokens, ops.broadcast_to(condition[:, None], shape)


def mark(tokens, chosen, log_probs):
    """Return bool [R, V], the shape of `log_probs`: whether a token is among the chosen ones.

    Args:
        tokens: int [R, M].
        chosen: bool [R, M].
        log_probs: float [R, V].
    """
    rows, width = ops.shape(log_probs)
    # One more column takes what is not chosen.
    chosen = ops.logical_and(chosen, tokens < width)
    columns = ops.where(chosen, tokens, width)
    places = columns + (width + 1) * ops.arange(rows, dtype="int32")[:, None]
    places = ops.reshape(places, (-1, 1))
    counts = ops.scatter(places, ops.ones_like(places[:, 0]), (rows * (width + 1),))
    return ops.reshape(counts, (-1, width + 1))[:, :width] > 0


def add_prefix(prompt, mask, prefix: Sequence[int], start):
    """Return prompt and mask [B, T] with a prefix, in rows whose output has no prompt of its own.

    Args:
        prompt: int [B, T].
        mask: bool [B, T]. True where the prompt is given.
        prefix: Token ids.
        start: The first place of an output.
    """
    length = ops.shape(prompt)[1]
    if isinstance(length, int) and isinstance(start, int) and start + len(prefix) > length:
        raise ValueError(
            "`forced_prefix` must not be longer than the longest output. Received: "
            f"{len(prefix)} tokens for {length - start}"
        )
    places = ops.arange(length, dtype="int32") - start
    inside = ops.logical_and(places >= 0, places < len(prefix))[None, :]
    inside = ops.logical_and(inside, ops.logical_not(ops.take(mask, start, axis=1))[:, None])
    tokens = ops.convert_to_tensor(list(prefix), prompt.dtype)
    tokens = ops.take(tokens, ops.clip(places, 0, len(prefix) - 1), axis=0)
    return ops.where(inside, tokens, prompt), ops.logical_or(mask, inside)

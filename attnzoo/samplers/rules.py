"""The rules that every output of a search must keep."""

from collections.abc import Callable, Sequence

from keras import ops

from attnzoo.checks import check_at_least
from attnzoo.samplers.constraints import (
    add_prefix,
    ends_where,
    forbid,
    next_of_ngrams,
    penalize_repetition,
)
from attnzoo.samplers.history import History
from attnzoo.samplers.phrases import (
    Phrase,
    WantedPhrases,
    as_ids,
    check_phrase,
    check_phrases,
    next_of_phrases,
)
from attnzoo.samplers.top_k import LOWEST, fast_top_k


class Rules:
    """The rules of an output, and what each step of a search asks of them.

    They depend on the tokens of a hypothesis alone. Rules that are not used add nothing to a graph.

    Args:
        min_length, no_repeat_ngram_size, repetition_penalty, forced_prefix, banned_phrases,
            wanted_phrases: As in `BeamSampler`.

    Raises:
        ValueError: If a number is outside its range, or a phrase is empty or no phrase.
    """

    def __init__(
        self,
        *,
        min_length: int = 0,
        no_repeat_ngram_size: int = 0,
        repetition_penalty: float = 1.0,
        forced_prefix: Phrase | None = None,
        banned_phrases: Sequence[Phrase] = (),
        wanted_phrases: Sequence[Phrase] = (),
    ):
        check_at_least(0, min_length=min_length, no_repeat_ngram_size=no_repeat_ngram_size)
        check_at_least(1, repetition_penalty=repetition_penalty)
        if forced_prefix is not None:
            forced_prefix = check_phrase("forced_prefix", forced_prefix)
        self.min_length = min_length
        self.no_repeat_ngram_size = no_repeat_ngram_size
        self.repetition_penalty = repetition_penalty
        self.forced_prefix = forced_prefix
        self.banned_phrases = check_phrases("banned_phrases", banned_phrases)
        self.wanted_phrases = check_phrases("wanted_phrases", wanted_phrases)

    # === Phrases ===

    @property
    def phrases(self) -> list[Phrase]:
        """All phrases."""
        prefix = [] if self.forced_prefix is None else [self.forced_prefix]
        return [*prefix, *self.banned_phrases, *self.wanted_phrases]

    def with_token_ids(self, tokenize: Callable[[str], list[int]]) -> "Rules":
        """Return these rules with ids in place of texts."""
        config, prefix = self.get_config(), self.forced_prefix
        for name in ("banned_phrases", "wanted_phrases"):
            config[name] = [as_ids(phrase, tokenize) for phrase in config[name]]
        config["forced_prefix"] = None if prefix is None else as_ids(prefix, tokenize)
        return Rules(**config)

    # === A search ===

    def begin(self, prompt, mask, start, stops: Sequence[int]):
        """Return prompt and mask, both [B, T], with the forced prefix from `start` on.

        Raises:
            ValueError: If a phrase is a text or has an end token, or the prefix is too long.
        """
        self._check_ids(stops)
        if self.forced_prefix is None:
            return prompt, mask
        (prefix,) = _as_ids([self.forced_prefix])
        return add_prefix(prompt, mask, prefix, start)

    def best(self, logits, count: int, history: History, lengths, stops: Sequence[int]):
        """Return the best tokens of each hypothesis that the rules allow.

        Args:
            logits: float32 [R, V].
            count: Number of tokens.
            history: The known tokens of the R hypotheses.
            lengths: float [R], in tokens.
            stops: The end tokens.

        Returns:
            Tokens int [R, C], their log p float [R, C], and their banks int [R, C].
        """
        total = ops.logsumexp(logits, axis=-1, keepdims=True)
        wanted = self._wanted
        met = None if wanted is None else wanted.met(history)
        pairs = self._forbidden(history, lengths, met, stops)
        if not pairs and self.repetition_penalty == 1.0:
            top_logits, tokens = fast_top_k(logits, count)
            top = top_logits - total
        else:
            log_probs = logits - total
            if self.repetition_penalty != 1.0:
                log_probs = penalize_repetition(log_probs, history, self.repetition_penalty)
            logits = forbid(log_probs, pairs) if pairs else log_probs
            total = ops.zeros_like(total)
            top, tokens = fast_top_k(logits, count)
        if wanted is None:
            return tokens, top, tokens
        # What leads to a wanted phrase is a candidate, however improbable.
        tokens = ops.cast(tokens, "int32")
        more, is_new = wanted.next_tokens(history, met, tokens)
        more_log_probs = ops.take_along_axis(logits, more, axis=1) - total
        top = ops.concatenate([top, ops.where(is_new, more_log_probs, LOWEST)], axis=1)
        tokens = ops.concatenate([tokens, more], axis=1)
        return tokens, top, wanted.banks(history, met, tokens)

    def order(self, scores, banks, num_beams: int):
        """Return numbers float [B, C]: the candidates with the largest ones are chosen."""
        wanted = self._wanted
        return scores if wanted is None else wanted.order(scores, banks, num_beams)

    def lacks(self, tokens, start):
        """Return what open hypotheses [B, K, T] lose at the end that lack a wanted phrase."""
        wanted = self._wanted
        if wanted is None:
            return 0.0
        beams, length = ops.shape(tokens)[1:]
        history = History(ops.reshape(tokens, (-1, length)), start, length)
        met = ops.all(wanted.met(history), axis=1)
        return ops.where(ops.reshape(met, (-1, beams)), 0.0, LOWEST)

    @property
    def _wanted(self) -> WantedPhrases | None:
        phrases = _as_ids(self.wanted_phrases)
        return WantedPhrases(phrases) if phrases else None

    def _forbidden(self, history, lengths, met, stops):
        """Return what may not come next, as `forbid` takes it."""
        pairs = []
        if self.no_repeat_ngram_size:
            pairs.append(next_of_ngrams(history, self.no_repeat_ngram_size))
        if self.banned_phrases:
            pairs.append(next_of_phrases(_as_ids(self.banned_phrases), history))
        if stops and self.min_length:
            pairs.append(ends_where(lengths < self.min_length, stops))
        if stops and met is not None:
            pairs.append(ends_where(ops.logical_not(ops.all(met, axis=1)), stops))
        return pairs

    def _check_ids(self, stops: Sequence[int]):
        """Raise if a phrase is a text, or has an end token."""
        for phrase in self.phrases:
            if isinstance(phrase, str):
                raise ValueError(
                    "A search takes phrases as token ids; a task turns texts into them. "
                    f"Received: {phrase!r}"
                )
            if set(phrase) & set(stops):
                raise ValueError(
                    f"A phrase must have no end token, of {list(stops)}. Received: {phrase}"
                )

    def get_config(self) -> dict:
        """Return the arguments of the constructor."""
        return {
            "min_length": self.min_length,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
            "repetition_penalty": self.repetition_penalty,
            "forced_prefix": self.forced_prefix,
            "banned_phrases": self.banned_phrases,
            "wanted_phrases": self.wanted_phrases,
        }


def _as_ids(phrases: Sequence[Phrase]) -> list[Sequence[int]]:
    return [phrase for phrase in phrases if not isinstance(phrase, str)]

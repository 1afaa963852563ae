"""Beam search."""

from collections.abc import Callable, Iterable, Sequence

import keras
import keras_hub
from keras import ops, tree

from attnzoo.ops import write_steps
from attnzoo.ops.gather import flat_rows, take_along_rows, take_places, take_rows
from attnzoo.samplers.history import History
from attnzoo.samplers.phrases import Phrase
from attnzoo.samplers.rules import Rules
from attnzoo.samplers.top_k import LOWEST

# Initial size, in steps, of a cache that grows, and the factor by which it grows. Each size is one
# more loop to compile.
_FIRST_CACHE_LENGTH = 64
_GROWTH = 4

# Additional state of a search that returns alignments: see `_initial_paths`.
_PATHS = ("alignments", "paths")


@keras.saving.register_keras_serializable(package="attnzoo")
class BeamSampler(keras_hub.samplers.Sampler):
    """Beam search over any model with KerasHub's `next(prompt, cache, index)`.

    At each step every open hypothesis is continued by every token. A candidate that is among the K
    best and ends with an end token is finished: it leaves the beam, and its score no longer
    changes. The K best finished hypotheses are kept in a list of their own. The K best of the other
    candidates stay open.

        score = log p / ((5 + length) / 6) ** length_penalty
                + coverage_penalty * sum over s of log(min(1, sum over t of alignments[t, s]))

    `length` counts tokens, without prompt and end token. The search ends when no open hypothesis
    can reach the best `num_hypotheses`: its log p can only fall, its length penalty is at best that
    of the longest output, and its coverage penalty is at best 0. At the maximal length, open
    hypotheses compete with finished ones by score. The whole search is one graph with one loop, or,
    with `resize_cache`, with one loop for each size of the cache.

    The rules of an output, from `min_length` on, look at its tokens, a prompt's among them. log p
    remains the model's own: what a rule forbids is left out, and the rest is not scaled up. With
    one beam they are rules of greedy decoding. If nothing keeps all the rules, the score of what
    is returned is below -1e6.

    Differs from the paper: the penalties rank hypotheses during the search too, not only at its
    end.

    Args:
        num_beams: K, the number of open and of finished hypotheses kept for each input. At least 1.
        num_hypotheses: Number of hypotheses returned, best first (an n-best list). From 1 to K.
        length_penalty: Exponent of the length penalty: 0 ranks by log p alone, 1 nearly by the mean
            log p of a token. At least 0.
        coverage_penalty: Weight of the coverage penalty. At least 0. If it is not 0, the model's
            cache must be a dict with `"alignments"`, float [B * K, S], the alignments of the last
            step, and `"memory_mask"`, bool [B * K, S].
        temperature: Divides the logits. Above 0.
        min_length: Least length of an output, in tokens, without prompt and end token. At least 0.
        no_repeat_ngram_size: No n-gram of this many tokens occurs twice in an output; 0 allows
            all. At least 0.
        repetition_penalty: Multiplies log p of each token that the output already has. At least 1,
            which is no penalty.
        forced_prefix: Beginning of each output that has no prompt: a text, or token ids. Like a
            prompt it costs nothing.
        banned_phrases: What no output may have: texts, or lists of token ids.
        wanted_phrases: What every output must have, likewise. K should be above the number of their
            tokens: with fewer beams the phrases come as early as they can.

    A phrase is a sequence of tokens: the text "art" of a tokenizer of words is that word, and of a
    tokenizer of characters a part of any word. A task turns texts into tokens with its target's
    tokenizer; `search` takes ids alone.

    Call arguments: as in `keras_hub.samplers.Sampler`, and `resize_cache` as in `search`.

    Returns:
        Tokens int [B, T], the best hypothesis; with `num_hypotheses` above 1 the pair of tokens int
        [B, num_hypotheses, T] and scores float [B, num_hypotheses].

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> task.compile(sampler=attnzoo.samplers.BeamSampler(num_beams=5, length_penalty=0.6))
        >>> task.generate(["attention"])
        ['AH T EH N SH AH N']

    References:
        [Sutskever et al., 2014](https://arxiv.org/abs/1409.3215), section 3.2;
        [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 7, equation 14;
        [Paulus et al., 2018](https://arxiv.org/abs/1705.04304), section 2.5 (n-grams);
        [Keskar et al., 2019](https://arxiv.org/abs/1909.05858), section 4.1 (repetition);
        [Post & Vilar, 2018](https://arxiv.org/abs/1804.06609) (wanted phrases).
    """

    def __init__(
        self,
        num_beams: int = 5,
        *,
        num_hypotheses: int = 1,
        length_penalty: float = 0.0,
        coverage_penalty: float = 0.0,
        temperature: float = 1.0,
        min_length: int = 0,
        no_repeat_ngram_size: int = 0,
        repetition_penalty: float = 1.0,
        forced_prefix: Phrase | None = None,
        banned_phrases: Sequence[Phrase] = (),
        wanted_phrases: Sequence[Phrase] = (),
    ):
        if num_beams < 1:
            raise ValueError(f"`num_beams` must be at least 1. Received: num_beams={num_beams}")
        if not 1 <= num_hypotheses <= num_beams:
            raise ValueError(
                f"`num_hypotheses` must be from 1 to `num_beams`={num_beams}. "
                f"Received: num_hypotheses={num_hypotheses}"
            )
        if length_penalty < 0 or coverage_penalty < 0:
            raise ValueError(
                "`length_penalty` and `coverage_penalty` must be at least 0. Received: "
                f"length_penalty={length_penalty}, coverage_penalty={coverage_penalty}"
            )
        if temperature <= 0:
            raise ValueError(f"`temperature` must be above 0. Received: temperature={temperature}")
        self.rules = Rules(
            min_length=min_length,
            no_repeat_ngram_size=no_repeat_ngram_size,
            repetition_penalty=repetition_penalty,
            forced_prefix=forced_prefix,
            banned_phrases=banned_phrases,
            wanted_phrases=wanted_phrases,
        )
        super().__init__(temperature=temperature)
        self.num_beams = num_beams
        self.num_hypotheses = num_hypotheses
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty

    def __call__(self, next, prompt, **arguments):
        tokens, scores = self.search(next, prompt, **arguments)
        return tokens[:, 0] if self.num_hypotheses == 1 else (tokens, scores)

    def search(
        self,
        next: Callable,
        prompt,
        cache=None,
        index=0,
        mask=None,
        stop_token_ids: Iterable[int] | None = None,
        hidden_states=None,
        model: keras.Model | None = None,
        resize_cache: Callable | None = None,
        return_alignments: bool = False,
    ):
        """Search, and return the n best hypotheses with their scores.

        Args:
            next: Function of (prompt int [B * K, T], cache, index) to the logits of position
                `index`, float [B * K, V], an ignored value, and the next cache. The K hypotheses of
                an input are adjacent rows.
            prompt: int [B, T]. The given tokens, padded to the maximal length T.
            cache: Pytree with the batch first in every leaf, or None.
            index: First position to fill. The prompt may reach beyond it.
            mask: bool [B, T]. True where the prompt is given; all False if None.
            stop_token_ids: Ids that end a hypothesis, or None to fill all T.
            hidden_states: Not used.
            model: The model, where `next` reads its variables on JAX.
            resize_cache: Function of (cache, max_length) to the cache with room for `max_length`
                steps, or None if the cost of a step does not depend on the size of the cache. With
                it the cost of a short output hardly depends on T.
            return_alignments: Whether to return the alignments too. The cache must then be a dict
                with `"alignments"`, float [B * K, S], the alignments of the last step.

        Returns:
            Tokens int [B, num_hypotheses, T] and scores float [B, num_hypotheses], best first; with
            `return_alignments=True` also alignments float [B, num_hypotheses, T, S], along the path
            of each: row t is of the step that made token t. Other rows are undefined.
        """
        beams = self.num_beams
        length = ops.shape(prompt)[1]
        mask = ops.zeros_like(prompt, dtype="bool") if mask is None else ops.cast(mask, "bool")
        stops = [] if stop_token_ids is None else list(stop_token_ids)
        start = index  # The first place of an output.
        prompt, mask = self.rules.begin(prompt, mask, start, stops)

        rooms = [length]
        if resize_cache is not None:
            rooms = _cache_lengths(index, length)
            cache = resize_cache(cache, rooms[0]) if len(rooms) > 1 else cache

        state = {
            **self._first_beams(prompt),
            "cache": tree.map_structure(
                lambda leaf: ops.repeat(leaf, beams, axis=0), () if cache is None else cache
            ),
            "coverage": self._initial_coverage(cache),  # [B * K, S]
            **(_initial_paths(prompt, cache, beams) if return_alignments else {}),
        }
        results = ("tokens", "finished", "scores", *(_PATHS if return_alignments else ()))

        def cond(state, index):
            return ops.logical_not(ops.all(self._is_decided(state, length - index)))

        def body(state, index):
            return self._grow(next, state, start, index, mask[:, index, None], stops), index + 1

        def run(state, index, rooms):
            room, *larger = rooms
            state, index = self.run_loop(
                cond,
                body,
                model=model,
                loop_vars=(state, index),
                maximum_iterations=ops.cast(room, "int32") - index,
            )
            found = {name: state[name] for name in results}
            found["index"] = index
            if resize_cache is None or not larger:
                return found

            def go_on():
                cache = resize_cache(state["cache"], larger[0])
                return run({**state, "cache": cache}, index, larger)

            return ops.cond(cond(state, index), go_on, lambda: found)

        found = run(state, ops.cast(index, "int32"), rooms)
        # At the maximal length, open hypotheses are results too.
        lacks = self.rules.lacks(found["tokens"][:, beams:], start)
        opened = ops.where(found["index"] >= length, found["scores"] + lacks, -float("inf"))
        scores = ops.concatenate([found["finished"], opened], axis=1)  # [B, 2 * K]
        scores, chosen = ops.top_k(scores, self.num_hypotheses)
        chosen = ops.cast(chosen, "int32")
        tokens = take_places(found["tokens"], chosen)
        if not return_alignments:
            return tokens, scores
        along = _along_paths(found["alignments"], take_places(found["paths"], chosen))
        return tokens, scores, along

    def _first_beams(self, prompt):
        """Return the search's part of the state: K open beams, and no finished hypothesis."""
        beams = self.num_beams
        nothing = ops.full((ops.shape(prompt)[0], beams), LOWEST, dtype="float32")
        # All beams are equal at first: all but one get a probability of zero.
        log_probs = ops.where(ops.arange(beams) == 0, 0.0, nothing)
        return {
            "tokens": ops.repeat(prompt[:, None], 2 * beams, axis=1),  # Finished, then open.
            "finished": nothing,  # Scores of finished hypotheses, [B, K], best first.
            "scores": log_probs,  # Scores of open hypotheses, [B, K], best first.
            "log_probs": log_probs,
            "lengths": ops.zeros_like(log_probs),  # Tokens made, without the end.
        }

    def _grow(self, next, state, start, index, given, stops):
        """Do one step: the best candidates of all beams are finished, or stay open."""
        beams = self.num_beams
        opened = state["tokens"][:, beams:]  # [B, K, T]
        opened = ops.reshape(opened, (-1, ops.shape(opened)[2]))  # [B * K, T]
        logits, _, cache = next(opened, state["cache"], index)
        coverage, cover_penalty = self._update_coverage(state["coverage"], cache)
        history = History(opened, start, index)
        as_it_is = ops.take(opened, index, axis=1)
        found = self._propose(state, logits, history, as_it_is, given, stops)
        scores = self._score(found["log_probs"], found["lengths"]) + cover_penalty  # [B * K, C]
        count = scores.shape[1]
        tokens, log_probs, lengths, ends, banks, scores = (
            ops.reshape(value, (-1, beams * count)) for value in (*found.values(), scores)
        )  # [B, K * C]

        order = self.rules.order(scores, banks, beams)
        bar = ops.top_k(order, beams)[0][:, -1:]
        ended = ops.where(ops.logical_and(ends, order >= bar), scores, -float("inf"))
        finished, best = ops.top_k(ops.concatenate([state["finished"], ended], axis=1), beams)
        best = ops.cast(best, "int32")  # [B, K]: below K what was finished, then candidates.
        scores = ops.where(ends, -float("inf"), scores)
        _, chosen = ops.top_k(self.rules.order(scores, banks, beams), beams)
        chosen = ops.cast(chosen, "int32")  # [B, K]
        rows = flat_rows(chosen // count, beams)  # [B * K]

        best = ops.concatenate([best, beams + chosen], axis=1)  # [B, 2 * K]
        kept, candidate = best < beams, ops.maximum(best - beams, 0)
        origin = ops.where(kept, best, beams + candidate // count)

        here = ops.arange(ops.shape(opened)[1], dtype="int32") == index  # [T]
        here = ops.logical_and(here, ops.logical_not(kept)[:, :, None])  # [B, 2 * K, T]

        def grow(sequences, new):
            """Return sequences [B, 2 * K, T]: kept ones unchanged, others continued by `new`."""
            return ops.where(here, new[:, :, None], take_places(sequences, origin))

        def follow(leaf):
            return take_rows(leaf, rows)

        log_probs = ops.where(ends, -float("inf"), log_probs)
        paths = {}
        if "paths" in state:
            made = cache["alignments"][:, None]  # [B * K, 1, S]
            made = ops.cast(made, state["alignments"].dtype)
            paths["alignments"] = write_steps(state["alignments"], made, index, axis=1)
            paths["paths"] = grow(state["paths"], candidate // count)
        return {
            "tokens": grow(state["tokens"], take_along_rows(tokens, candidate)),
            **paths,
            "finished": finished,
            "scores": take_along_rows(scores, chosen),
            "log_probs": take_along_rows(log_probs, chosen),
            "lengths": take_along_rows(lengths, chosen),
            "cache": tree.map_structure(follow, cache),
            "coverage": tree.map_structure(follow, coverage),
        }

    def _propose(self, state, logits, history, as_it_is, given, stops):
        """Return the candidates of each beam, [B * K, C]: tokens, log p, lengths, ends, banks.

        `as_it_is`, int [B * K], holds the prompt's tokens at this position, and `given`, bool
        [B, 1], whether this position belongs to the prompt.
        """
        logits = ops.cast(logits, "float32")  # [B * K, V]
        if self.temperature != 1.0:
            logits = logits / self.temperature
        lengths = ops.reshape(state["lengths"], (-1,))
        # Within a beam, tokens rank by their logits, except the end tokens, whose hypothesis is one
        # token shorter. With one more candidate for each end token, none of the best is missed, and
        # K candidates stay open.
        count = self.num_beams + len(stops)
        if logits.shape[-1] is not None:
            count = min(count, logits.shape[-1])
        tokens, log_probs, banks = self.rules.best(logits, count, history, lengths, stops)
        tokens = ops.cast(tokens, as_it_is.dtype)

        # A beam inside its prompt has one candidate, at no cost.
        given = ops.repeat(given, self.num_beams, axis=0)  # [B * K, 1]
        only_first = ops.where(ops.arange(log_probs.shape[1]) == 0, 0.0, LOWEST)[None, :]
        tokens = ops.where(given, as_it_is[:, None], tokens)
        log_probs = ops.where(given, only_first, log_probs)
        ends = ops.zeros_like(tokens, dtype="bool")
        for stop in stops:
            ends = ops.logical_or(ends, tokens == stop)
        ends = ops.logical_and(ends, ops.logical_not(given))
        longer = ops.logical_not(ops.logical_or(given, ends))
        return {
            "tokens": tokens,
            "log_probs": ops.reshape(state["log_probs"], (-1, 1)) + log_probs,
            "lengths": lengths[:, None] + ops.cast(longer, "float32"),
            "ends": ends,
            "banks": banks,
        }

    def with_token_ids(self, tokenize: Callable[[str], list[int]]) -> "BeamSampler":
        """Return this sampler with ids in place of texts.

        Args:
            tokenize: Function of a text to its token ids.
        """
        config = {**self.get_config(), **self.rules.with_token_ids(tokenize).get_config()}
        return type(self).from_config(config)

    def _score(self, log_probs, lengths):
        if not self.length_penalty:
            return log_probs
        return log_probs / ((5.0 + lengths) / 6.0) ** self.length_penalty

    def _is_decided(self, state, steps):
        """Return bool [B]: no open hypothesis can still reach the best `num_hypotheses`."""
        # log p only falls, and penalties are at most 0: an open beam scores at best what its log p
        # gives at the maximal length.
        longest = state["lengths"] + ops.cast(steps, "float32")
        hopes = self._score(state["log_probs"], longest)
        return state["finished"][:, self.num_hypotheses - 1] >= ops.max(hopes, axis=1)

    def _initial_coverage(self, cache):
        if not self.coverage_penalty:
            return ()
        if not (isinstance(cache, dict) and {"alignments", "memory_mask"} <= set(cache)):
            raise ValueError(
                "With `coverage_penalty` above 0 the cache must be a dict with 'alignments' and "
                f"'memory_mask'. Received: cache={cache if cache is None else type(cache)}"
            )
        zeros = ops.zeros_like(cache["alignments"], dtype="float32")
        return ops.repeat(zeros, self.num_beams, axis=0)

    def _update_coverage(self, coverage, cache):
        """Return the coverage after this step, and its penalty, float [B * K, 1]."""
        if not self.coverage_penalty:
            return (), 0.0
        coverage = coverage + ops.cast(cache["alignments"], "float32")  # [B * K, S]
        logs = ops.log(ops.clip(coverage, 1e-9, 1.0))
        logs = ops.where(ops.cast(cache["memory_mask"], "bool"), logs, 0.0)
        return coverage, self.coverage_penalty * ops.sum(logs, axis=-1, keepdims=True)

    def get_config(self):
        return {
            **super().get_config(),
            "num_beams": self.num_beams,
            "num_hypotheses": self.num_hypotheses,
            "length_penalty": self.length_penalty,
            "coverage_penalty": self.coverage_penalty,
            **self.rules.get_config(),
        }


def _initial_paths(prompt, cache, beams: int) -> dict:
    """Return the state that records alignments, before the first step.

    A step never reorders earlier records: `alignments` [B * K, T, S] hold the alignments of the K
    open beams at each step, and `paths` [B, 2 * K, T] the beam of each hypothesis at each step.
    """
    if not (isinstance(cache, dict) and "alignments" in cache):
        raise ValueError(
            "With `return_alignments=True` the cache must be a dict with 'alignments'. "
            f"Received: cache={cache if cache is None else type(cache)}"
        )
    batch, length = ops.shape(prompt)
    places = ops.shape(cache["alignments"])[1]
    return {
        "alignments": ops.zeros((batch * beams, length, places), cache["alignments"].dtype),
        "paths": ops.zeros((batch, 2 * beams, length), "int32"),
    }


def _along_paths(alignments, paths):
    """Return [B, N, T, S], the alignments [B * K, T, S] along paths int [B, N, T]."""
    batch, count, length = ops.shape(paths)
    rows = ops.shape(alignments)[0] // batch * ops.arange(batch, dtype="int32")[:, None, None]
    steps = (rows + paths) * length + ops.arange(length, dtype="int32")  # [B, N, T]
    flat = ops.reshape(alignments, (-1, ops.shape(alignments)[2]))
    picked = take_rows(flat, ops.reshape(steps, (-1,)))
    return ops.reshape(picked, (batch, count, length, ops.shape(alignments)[2]))


def _cache_lengths(index, length) -> list:
    """Return the sizes of a growing cache; each at least doubles, and the last is `length`.

    All are beyond `index`. If these are not known while tracing, `length` is the only size.
    """
    rooms, room = [], _FIRST_CACHE_LENGTH
    if isinstance(index, int) and isinstance(length, int):
        while 2 * room <= length:
            rooms += [room] if room > index else []
            room *= _GROWTH
    return [*rooms, length]

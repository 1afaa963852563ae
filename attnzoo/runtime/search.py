"""Decoding with the graph of one step: beam search, as in `attnzoo.samplers.BeamSampler`."""

import numpy as np


def decode(encode, step, source, decoding: dict) -> dict:
    """Decode a batch of sources.

    Args:
        encode: Function that returns the state for the sources: arrays by name, batch first.
        step: Function of a dict of `token_ids` [R], `index` and the state to a dict of `log_probs`
            [R, V], `alignments` [R, S], and what changes of the state, as `next_` and its name.
        source: int32 [B, S].
        decoding: The model's `"decoding"`. Greedy decoding is a search with one beam.

    Returns:
        dict of `ids` int32 [B, N, T], `scores` float32 [B, N], in nats, and `alignments` float32
        [B, N, T, S].
    """
    beams, end = decoding.get("num_beams", 1), decoding["end"]
    searches = [_Search(beams, decoding) for _ in source]
    state = {name: np.repeat(one, beams, axis=0) for name, one in encode().items()}
    last = np.full(len(source) * beams, decoding["start"], "int32")
    for index in range(decoding["max_length"] - 1):
        made = step({"token_ids": last, "index": np.array(index, "int32"), **state})
        parents, tokens = [], []
        for row, search in enumerate(searches):
            own = slice(row * beams, (row + 1) * beams)
            search.grow(made["log_probs"][own], made["alignments"][own], end)
            parents += [row * beams + one for one in search.parents]
            tokens += [ids[-1] for _, ids, _ in search.open]
        if all(search.is_decided() for search in searches):
            break
        state = {name: made.get(f"next_{name}", one)[parents] for name, one in state.items()}
        last = np.array(tokens, "int32")
    results = [search.best() for search in searches]
    longest = max(len(ids) for row in results for _, ids, _ in row)
    shape = (len(results), len(results[0]), longest)
    ids = np.full(shape, decoding["padding"], "int32")
    alignments = np.zeros((*shape, source.shape[1]), "float32")
    for n, row in enumerate(results):
        for k, (_, one, rows) in enumerate(row):
            ids[n, k, : len(one)], alignments[n, k, : len(one)] = one, rows
    scores = np.array([[score for score, _, _ in row] for row in results], "float32")
    return {"ids": ids, "scores": scores, "alignments": alignments}


class _Search:
    """The search for one source: hypotheses are (log p or score, ids, rows of alignments)."""

    def __init__(self, beams, decoding):
        self.open: list[tuple] = [(np.float32(-1e9 * (n > 0)), (), ()) for n in range(beams)]
        self.finished: list[tuple] = []
        self.parents: list[int] = []
        self.wanted = decoding.get("num_hypotheses", 1)
        self.longest = decoding["max_length"] - 1
        self.penalty = decoding.get("length_penalty", 0.0)

    def score(self, log_probs, lengths):
        lengths = np.asarray(lengths, "float32")
        return log_probs / ((5 + lengths) / 6) ** self.penalty if self.penalty else log_probs

    def grow(self, log_probs, alignments, end):
        """Continue each open hypothesis by its best tokens; keep the best, finished or open."""
        beams = len(self.open)
        best = np.argsort(-log_probs, axis=1, kind="stable")[:, : beams + 1]  # [K, C]
        sums = np.array([[one] for one, _, _ in self.open])
        sums = (sums + np.take_along_axis(log_probs, best, axis=1)).ravel()  # [K * C]
        parents, tokens = np.repeat(np.arange(beams), best.shape[1]), best.ravel()
        ends = tokens == end
        scores = self.score(sums, len(self.open[0][1]) + ~ends)
        order = np.argsort(-scores, kind="stable")
        bar = scores[order[beams - 1]]

        def continued(n, value):
            _, ids, rows = self.open[parents[n]]
            return value, (*ids, tokens[n]), (*rows, alignments[parents[n]])

        ended = [continued(n, scores[n]) for n in order if ends[n] and scores[n] >= bar]
        self.finished = _first(self.finished + ended, beams)
        kept = [n for n in order if not ends[n]][:beams]
        self.open = [continued(n, sums[n]) for n in kept]
        self.parents = [int(parents[n]) for n in kept]

    def is_decided(self):
        """Return whether no open hypothesis can reach the best ones; log p can only fall."""
        hope = max(self.score(one, self.longest) for one, _, _ in self.open)
        return len(self.finished) >= self.wanted and self.finished[self.wanted - 1][0] >= hope

    def best(self):
        """Return the best hypotheses; at the maximal length open ones are results too."""
        opened = []
        if len(self.open[0][1]) == self.longest:
            opened = [(self.score(one, self.longest), *more) for one, *more in self.open]
        return _first(self.finished + opened, self.wanted)


def _first(hypotheses, count):
    return sorted(hypotheses, key=lambda one: -one[0])[:count]

"""Greedy search, held to KerasHub's sampler, and its record, to tables."""

import numpy as np
import pytest
from keras import ops

from attnzoo.samplers import GreedySampler
from attnzoo.samplers.greedy import search_greedily
from tests import tools
from tests.samplers.test_beam import (
    END,
    log_softmax,
    make_cache,
    make_prompt,
    make_tables,
    next_from,
)

B, LENGTH, S, VOCABULARY = 7, 8, 5, 6


@pytest.mark.parametrize("stops", [(END,), None])
def test_it_chooses_as_the_sampler_does_and_records(stops):
    tables = make_tables(B, seed=3, size=VOCABULARY)
    rows = tools.normal(VOCABULARY, S)
    prompt = make_prompt(B, LENGTH)
    prompt[::3, 1:3] = (3, END)  # Some go on from a beginning, with an end in it.
    mask = np.tile(np.arange(LENGTH) == 0, (B, 1))
    mask[::3, :3] = True
    arguments = {"mask": ops.convert_to_tensor(mask), "stop_token_ids": stops, "index": 1}
    sampler, given = GreedySampler(), ops.convert_to_tensor(prompt)
    expected = sampler(next_from(tables), given, cache=make_cache(B), **arguments)
    cache = {**make_cache(B), "alignments": ops.zeros((B, S))}
    found = search_greedily(sampler, next_from(tables, rows), given, cache=cache, **arguments)
    tokens, scores, alignments = map(tools.to_numpy, found)
    for row, whole in enumerate(tools.to_numpy(expected)):
        ends = np.flatnonzero((whole == END) & ~mask[row]) if stops else []
        last = ends[0] if len(ends) else LENGTH - 1
        path = whole[: last + 1]
        assert np.array_equal(tokens[row, : last + 1], path)
        pairs = np.stack([np.append(0, path)[:-2], path[:-1], path[1:]])
        log_probs = log_softmax(tables[row])[tuple(pairs)]
        assert np.isclose(scores[row], log_probs.sum(), atol=1e-5)
        assert np.allclose(alignments[row, 1 : last + 1], rows[path[:-1]])

"""Tokens of a context that are part of an n-gram of its question."""

import numpy as np
import pytest

from attnzoo import ops
from tests import tools


def reference(ids, memory, query, n):
    match = np.zeros(ids.shape, bool)
    for row, (own, known, asked) in enumerate(zip(ids, memory, query, strict=True)):
        length = len(own)

        def ngrams(mask, own=own, length=length):
            starts = [s for s in range(length - n + 1) if mask[s : s + n].all()]
            return {s: tuple(own[s : s + n]) for s in starts}

        there = set(ngrams(known).values())
        for start, ngram in ngrams(asked).items():
            if ngram in there:
                match[row, start : start + n] = True
    return match


@pytest.mark.parametrize("n", [1, 2, 3])
def test_matches_equal_the_reference(n):
    draw = np.random.default_rng(n)
    ids = draw.integers(0, 3, (4, 13)).astype("int32")
    place, split = np.arange(13), np.array([[3], [5], [0], [12]])
    memory, query = place < split, (place > split) & (place < 11)
    found = tools.to_numpy(
        tools.compiled(lambda *given: ops.ngram_matches(*given, n=n))(ids, memory, query)
    )
    np.testing.assert_array_equal(found, reference(ids, memory, query, n))
    if n < 3:
        assert found.any() and not found[query].all()


@pytest.mark.shared("torch")
def test_an_ngram_has_a_token():
    with pytest.raises(ValueError, match="`n` must be .* Received: n=0"):
        ops.ngram_matches([[1]], [[True]], [[True]], n=0)

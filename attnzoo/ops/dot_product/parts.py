"""Attention in parts of the steps: under causality or a window each sees a part of the memory."""

import dataclasses

from keras import ops

from attnzoo.backend import choose
from attnzoo.ops.dot_product.blocks import attend_in_blocks
from attnzoo.ops.dot_product.terms import Terms

# Elements of one block [r, t, S]: few enough to stay in the caches, and enough to share out among
# the cores; most on torch, where each operation costs a call from Python.
_BLOCK_ELEMENTS = choose(2**19, tensorflow=2**20, torch=2**21)
# The largest number of parts, and the shortest length of one, in steps.
_PARTS, _PART_STEPS = 4, 128


def attend_in_parts(query, key, value, bias, terms: Terms):
    """Attend in blocks, part by part where each part of the steps sees its own part of the memory.

    Args: as in `attend_in_blocks`.
    """
    contexts = []
    for first, last, start, end in _parts(query.shape[2], key.shape[2], terms):
        whole = (first, start) == (0, 0) and (last, end) == (query.shape[2], key.shape[2])
        if whole:
            return attend_in_blocks(query, key, value, bias, terms, _BLOCK_ELEMENTS)
        steps, places = slice(first, last), slice(start, end)
        part = dataclasses.replace(
            terms,
            order=terms.order[steps],
            memory_start=start,
            memory_mask=None if terms.memory_mask is None else terms.memory_mask[:, places],
            attention_mask=(
                None if terms.attention_mask is None else terms.attention_mask[:, :, steps, places]
            ),
        )
        contexts.append(
            attend_in_blocks(
                query[:, :, steps],
                key[:, :, places],
                value[:, :, places],
                None if bias is None else bias[:, :, steps, places],
                part,
                _BLOCK_ELEMENTS,
            )
        )
    return ops.concatenate(contexts, axis=2)


def _parts(queries, memory_length, terms: Terms):
    """Return the bounds of each part: first and last query, first and last place that they see."""
    bounded = terms.causal or terms.window is not None
    if not bounded or queries is None or memory_length is None:
        return [(0, queries, 0, memory_length)]
    query_length = queries // terms.group
    count = max(1, min(_PARTS, query_length // _PART_STEPS))
    length = -(-query_length // count)
    parts = []
    for first in range(0, query_length, length):
        last = min(first + length, query_length)
        start = 0 if terms.window is None else first - terms.window
        end = last if terms.causal else last + terms.window
        end = min(max(end, 1), memory_length)
        start = min(max(start, 0), end - 1)
        parts.append((first * terms.group, last * terms.group, start, end))
    return parts

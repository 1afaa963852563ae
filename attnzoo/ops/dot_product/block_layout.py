"""The blocks of one group of rows, and the terms of each block."""

import math

from keras import ops

from attnzoo.backend import ON_TENSORFLOW
from attnzoo.ops.blocks import block_sizes, cut_blocks, cut_examples, join_blocks, scan_blocks
from attnzoo.ops.dot_product.rows import Rows
from attnzoo.ops.dot_product.terms import join_masks

# Up to this many elements [T, S], causality is one bias for all rows, where the softmax is used.
_CAUSAL_BIAS_ELEMENTS = 2**22
# Finite, so that a row with nothing to attend to has no NaN in it or in its gradient.
LOWEST = -1e30
# On TensorFlow each operation passes over a whole block. There a softmax, which is one, is faster
# than the difference and the power that a kept sum would leave to do.
USE_SOFTMAX = ON_TENSORFLOW


class BlockLayout:
    """The blocks of one group of rows.

    Args:
        rows: The rows of all groups.
        query: float [R, T, D].
        key: float [R, S, D].
        numbers: int32 [R, 1, 1].
        bias: float [T, S], or None.
    """

    def __init__(self, rows: Rows, query, key, numbers, bias):
        self.terms = rows.terms
        self.heads = rows.heads
        self.count, self.query_length, _ = ops.shape(query)
        self.memory_length = ops.shape(key)[1]
        self.rows, self.steps = block_sizes(
            self.count, self.query_length, self.memory_length, rows.elements
        )
        self.row_pieces = {
            "key": cut_examples(transposed(key), self.rows),  # [R / r, r, D, S]
            "numbers": cut_examples(numbers, self.rows),
        }
        # What all rows share, for each T / t.
        order = ops.reshape(rows.terms.order, (1, -1, 1))
        self.shared = {"order": cut_blocks(order, 1, self.steps)[0]}  # [T / t, 1, t, 1]
        if bias is not None:
            self.shared["bias"] = cut_blocks(bias[None], 1, self.steps)[0]  # [T / t, 1, t, S]
        self.mask = None
        if self.terms.attention_mask is not None:
            shape = ops.shape(self.terms.attention_mask)
            self.mask = ops.reshape(self.terms.attention_mask, (-1, *shape[2:]))  # [F, T, S]
            if tuple(self.terms.attention_mask.shape[:2]) == (1, 1):
                self.shared["mask"] = self.cut(self.mask, rows=1)[0]
        if USE_SOFTMAX and self.terms.only_causal and self.causal_bias_is_small():
            seen = self.terms.visible(rows.terms.order, self.memory_length)  # [T, S]
            causal_bias = ops.where(seen, ops.zeros((), query.dtype), LOWEST)
            self.shared["causal_bias"] = self.cut(causal_bias[None], rows=1)[0]  # [T / t, 1, t, S]

    def causal_bias_is_small(self):
        """Return whether a float [T, S] may be held. A length not known may be large."""
        sizes = self.query_length, self.memory_length
        known = all(isinstance(size, int) for size in sizes)
        return known and math.prod(sizes) <= _CAUSAL_BIAS_ELEMENTS

    def cut(self, tensor, rows=None):
        """Cut [R, T, D] into [R / r, T / t, r, t, D]."""
        return cut_blocks(tensor, self.rows if rows is None else rows, self.steps)

    def join(self, blocks):
        """Undo `cut`: [R / r, T / t, r, t, D] to [R, T, D]."""
        shape = self.count, self.query_length, ops.shape(blocks)[-1]
        return join_blocks(blocks, shape, self.rows, self.steps)

    def over_rows(self, row, pieces: dict, num_outputs: int, carry=()):
        """Scan `row(carry, pieces)` over the blocks of rows."""
        pieces = {**pieces, **self.row_pieces}
        names = list(pieces)

        def step(carry, elements):
            return row(carry, dict(zip(names, elements, strict=True)))

        return scan_blocks(step, carry, tuple(pieces.values()), num_outputs)

    def over_steps(self, block, carry, pieces: dict, num_outputs: int):
        """Scan `block(carry, pieces)` over the blocks of steps of some rows."""
        fixed = {
            name: pieces[name]
            for name in ("key", "whole_key", "value", "numbers")
            if name in pieces
        }
        moving = {name: piece for name, piece in pieces.items() if name not in fixed}
        moving |= self.shared
        numbers = fixed["numbers"][:, 0, 0]  # [r]
        if self.terms.memory_mask is not None:
            mask = ops.take(self.terms.memory_mask, numbers // self.heads, axis=0)
            fixed["memory_mask"] = mask[:, None]  # [r, 1, S]
        if self.mask is not None and "mask" not in self.shared:
            moving["mask"] = self.cut(ops.take(self.mask, self.mask_numbers(numbers), axis=0))[0]
        names = list(moving)

        def step(carry, elements):
            return block(carry, {**fixed, **dict(zip(names, elements, strict=True))})

        return scan_blocks(step, carry, tuple(moving.values()), num_outputs)

    def mask_numbers(self, numbers):
        """Return the number of the mask's matrix that belongs to each row."""
        examples, heads = self.terms.attention_mask.shape[:2]
        if examples == 1:
            return numbers % self.heads
        return numbers // self.heads if heads == 1 else numbers

    def scores(self, pieces: dict, with_slope: bool = False):
        """Return scores [r, t, S] of a block, their mask, and the slope of the soft cap.

        Mask and slope are None where there are none.
        """
        scores = ops.matmul(pieces["query"], pieces["key"])
        slope = None
        if self.terms.soft_cap is not None:
            scores = self.terms.cap_scores(scores)
            if with_slope:
                slope = 1.0 - ops.square(scores / self.terms.soft_cap)
        if "bias" in pieces:
            scores = scores + pieces["bias"]
        if "causal_bias" in pieces:  # One operation instead of four, and no row is without a place.
            return scores + pieces["causal_bias"], None, slope
        near = self.terms.visible(pieces["order"][0, :, 0], self.memory_length)
        mask = join_masks(pieces.get("memory_mask"), pieces.get("mask"), near)
        return scores, mask, slope

    def dropout_factors(self, pieces: dict):
        """Return the factors of dropout in a block [r, t, S], or None."""
        if not self.terms.dropout:
            return None
        numbers, order = pieces["numbers"][:, 0, 0], pieces["order"][0, :, 0]
        factors = self.terms.dropout_factors(numbers, order, self.memory_length)
        return ops.cast(factors, pieces["query"].dtype)


def transposed(tensor):
    """Transpose [R, X, D] to [R, D, X]."""
    return ops.transpose(tensor, (0, 2, 1))

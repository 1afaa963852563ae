"""Dot-product attention in blocks: it never holds [B, N, T, S] at once.

Rows R are heads of examples. A block is some steps t of one row, or all steps of some rows r, with
all of memory beside it, so each softmax is whole. The forward pass keeps the logarithm of its sum,
from which the backward pass makes the alignments of a block again:

    alignments = exp(scores - total)
    value:     alignments' upstream
    scores:    alignments * (upstream value' - sum over d of upstream * context)
    key:       scores' query            query:     scores key

All products are of plain matrices, [m, k] with [k, n]: key and value come transposed, and their
gradients leave so. XLA's product of a transposed block takes three times as long on a CPU.
"""

import dataclasses
import math
import typing

from keras import ops

from attnzoo.backend import ON_TENSORFLOW
from attnzoo.ops.blocks import (
    block_sizes,
    cut_blocks,
    cut_examples,
    join_blocks,
    join_examples,
    scan_blocks,
)
from attnzoo.ops.dropped import dropout_factors
from attnzoo.ops.normalizers import masked_softmax

# Finite, so that a row with nothing to attend to has no NaN in it or in its gradient.
_LOWEST = -1e30
# On TensorFlow each operation passes over a whole block. There a softmax, which is one, is faster
# than the difference and the power that a kept sum would leave to do.
_ONE_BY_ONE = ON_TENSORFLOW
# Up to this many elements [T, S], what causality hides is made once for all rows, where operations
# go one by one.
_SHADE_ELEMENTS = 2**22


@dataclasses.dataclass(frozen=True, eq=False)
class Terms:
    """What stands beside query, key and value, and has no gradient.

    Args:
        order: int32 [T]. Number of each query, from 0 on.
        group: How many queries, one after the other, stand at one step.
        memory_start: Where the first row of memory stands, in steps.
        memory_mask: bool [B, S], or None.
        attention_mask: bool [B or 1, N or 1, T, S], or None.
        soft_cap: What scores stay below, or None.
        causal: Whether a query sees no place behind its own step.
        window: How far from its own step a query sees, or None.
        dropout: Probability of dropping a weight.
        seed: int32 [2], or None. For dropout.
    """

    order: typing.Any
    group: int = 1
    memory_start: int = 0
    memory_mask: typing.Any = None
    attention_mask: typing.Any = None
    soft_cap: float | None = None
    causal: bool = False
    window: int | None = None
    dropout: float = 0.0
    seed: typing.Any = None

    def cap(self, scores):
        """Scores between -soft_cap and soft_cap."""
        if self.soft_cap is None:
            return scores
        return self.soft_cap * ops.tanh(scores / self.soft_cap)

    @property
    def merely_causal(self):
        """Whether nothing but causality hides places: then each query sees at least one."""
        hiding = self.memory_mask, self.attention_mask, self.window
        return self.causal and all(one is None for one in hiding) and self.memory_start == 0

    def see(self, order, memory_length):
        """Which places the queries of these numbers [t] see: bool [t, S], or None for all."""
        if not self.causal and self.window is None:
            return None
        steps = order if self.group == 1 else order // self.group
        back = ops.expand_dims(steps, 1) - self.places(memory_length)  # [t, S]
        if self.window is None:
            return back >= 0
        near = back <= self.window
        return ops.logical_and(near, back >= 0 if self.causal else back >= -self.window)

    def places(self, memory_length):
        """Where the rows of memory stand: int32 [S]."""
        return self.memory_start + ops.arange(memory_length, dtype="int32")

    def keep(self, rows, order, memory_length):
        """Dropout's factors for rows [r] and queries [t], float32 [r, t, S]."""
        return dropout_factors(self.dropout, self.seed, rows, order, self.places(memory_length))


def join(*masks):
    """The places that all masks allow; None allows all."""
    masks = [mask for mask in masks if mask is not None]
    joined = masks[0] if masks else None
    for mask in masks[1:]:
        joined = ops.logical_and(joined, mask)
    return joined


def attend_in_blocks(query, key, value, bias, terms: Terms, elements: int):
    """Attend block by block: the context, float [B, N, T, Dv].

    Args:
        query: float [B, N, T, D], scaled.
        key: float [B, N, S, D].
        value: float [B, N, S, Dv].
        bias: float [B or 1, N or 1, T, S], added to the scores; or None.
        terms: Masks, dropout and the like.
        elements: How many elements [r, t, S] a block may take.
    """
    rows = _Rows(query, bias, terms, elements)

    @ops.custom_gradient
    def attend(query, key, value, *bias):
        context, *totals = rows.forward(query, key, value, *bias)
        # On torch the result itself, kept here, would hold on to its own graph for ever.
        kept = ops.stop_gradient(context)

        def gradient(*args, upstream=None):
            # torch gives the arguments again and the upstream by name; the others give it alone.
            upstream = args[0] if upstream is None else upstream
            return rows.backward(query, key, value, bias, kept, totals, upstream)

        return context, gradient

    return attend(query, key, value, *([] if bias is None else [bias]))


class _Rows:
    """The examples and heads of one call as rows, in groups that share a bias [T, S].

    Without a bias there is one group. Within a group rows go through blocks one after the other, so
    that the gradient of the bias is a sum, made in one place.
    """

    def __init__(self, query, bias, terms: Terms, elements: int):
        self.terms = terms
        self.elements = elements
        self.batch, self.heads = ops.shape(query)[0], query.shape[1]
        several_examples = bias is not None and bias.shape[0] != 1
        several_heads = bias is not None and bias.shape[1] != 1
        self.by_head = several_heads and not several_examples
        self.groups = (self.batch if several_examples else 1) * (self.heads if several_heads else 1)
        self.biased = bias is not None

    # === Rows, and back ===

    def cut(self, tensor):
        """[B, N, X, D] to [G, R, X, D]."""
        if self.by_head:
            return ops.transpose(tensor, (1, 0, 2, 3))
        _, _, length, width = ops.shape(tensor)
        return ops.reshape(tensor, (self.groups, -1, length, width))

    def join(self, rows, length):
        """[G, R, X, D] to [B, N, X, D]."""
        if self.by_head:
            return ops.transpose(rows, (1, 0, 2, 3))
        return ops.reshape(rows, (self.batch, self.heads, length, ops.shape(rows)[-1]))

    def numbers(self):
        """b * N + n of each row: int32 [G, R, 1, 1]."""
        numbers = ops.arange(self.batch * self.heads, dtype="int32")
        return self.cut(ops.reshape(numbers, (self.batch, self.heads, 1, 1)))

    def over_groups(self, compute, tensors: dict, num_outputs: int):
        """Call `compute(**tensors of one group)` for each; its outputs, stacked."""
        names, tensors = list(tensors), tuple(tensors.values())
        if isinstance(self.groups, int) and self.groups == 1:
            outputs = compute(**{name: one[0] for name, one in zip(names, tensors, strict=True)})
            return [ops.expand_dims(output, 0) for output in outputs]

        def step(_, one_group):
            return (), compute(**dict(zip(names, one_group, strict=True)))

        return scan_blocks(step, (), tensors, num_outputs)[1]

    def flat_bias(self, bias):
        """[B or 1, N or 1, T, S] to [G, T, S]."""
        _, _, steps, places = ops.shape(bias)
        return ops.reshape(bias, (self.groups, steps, places))

    # === Forward ===

    def forward(self, query, key, value, bias=None):
        """Context [B, N, T, Dv]; unless softmaxes are made again, the logarithms of their sums."""
        tensors = {
            "query": self.cut(query),
            "key": self.cut(key),
            "value": self.cut(value),
            "numbers": self.numbers(),
        }
        if bias is not None:
            tensors["bias"] = self.flat_bias(bias)
        outputs = self.over_groups(self._forward, tensors, 1 if _ONE_BY_ONE else 2)
        return [self.join(output, ops.shape(query)[2]) for output in outputs]

    def _forward(self, query, key, value, numbers, bias=None):
        blocks = _Blocks(self, query, key, numbers, bias)

        def block(_, pieces):
            scores, mask, _ = blocks.scores(pieces)
            kept = blocks.keep(pieces)
            if _ONE_BY_ONE:
                alignments = masked_softmax(scores, mask)
                used = alignments if kept is None else alignments * kept
                return (), (ops.matmul(used, pieces["value"]),)
            scores = scores if mask is None else ops.where(mask, scores, _LOWEST)
            # With nothing to attend to, all powers become zero.
            highest = ops.maximum(ops.max(scores, axis=-1, keepdims=True), 0.5 * _LOWEST)
            powers = ops.exp(scores - highest)
            total = ops.sum(powers, axis=-1, keepdims=True)
            some = total > 0.0
            total = ops.where(some, total, 1.0)
            used = powers if kept is None else powers * kept
            context = ops.matmul(used, pieces["value"]) / total
            return (), (context, ops.where(some, highest + ops.log(total), 0.0))

        def row(_, pieces):
            _, outputs = blocks.over_steps(block, (), pieces, num_outputs)
            return (), outputs

        num_outputs = 1 if _ONE_BY_ONE else 2
        pieces = {"query": blocks.cut(query), "value": cut_examples(value, blocks.rows)}
        _, outputs = blocks.over_rows(row, pieces, num_outputs)
        return tuple(blocks.join(output) for output in outputs)

    # === Backward ===

    def backward(self, query, key, value, bias, context, totals, upstream):
        """Gradients of query, key and value, and of the bias if there is one.

        Args:
            bias: List of the bias, or of nothing.
            context: What `forward` gave.
            totals: List of what more `forward` gave.
            upstream: float [B, N, T, Dv].
        """
        tensors = {
            "query": self.cut(query),
            "key": self.cut(key),
            "value": self.cut(value),
            "upstream": self.cut(upstream),
            "means": self.cut(ops.sum(upstream * context, axis=-1, keepdims=True)),
            "numbers": self.numbers(),
        }
        if totals:
            tensors["totals"] = self.cut(totals[0])
        if bias:
            tensors["bias"] = self.flat_bias(bias[0])
        gradients = self.over_groups(self._backward, tensors, num_outputs=3 + len(bias))
        of_query = self.join(gradients[0], ops.shape(query)[2])
        # They leave as [.., D, S].
        of_key = self.join(ops.transpose(gradients[1], (0, 1, 3, 2)), ops.shape(key)[2])
        of_value = self.join(ops.transpose(gradients[2], (0, 1, 3, 2)), ops.shape(key)[2])
        of_bias = [ops.reshape(gradients[3], ops.shape(bias[0]))] if bias else []
        return of_query, of_key, of_value, *of_bias

    def _backward(self, query, key, value, upstream, means, numbers, totals=None, bias=None):
        blocks = _Blocks(self, query, key, numbers, bias)
        folded = _ONE_BY_ONE and not self.terms.dropout

        def block(sums, pieces):
            of_key, of_value = sums
            upstream = pieces["upstream"]
            scores, mask, slope = blocks.scores(pieces, with_slope=True)
            if _ONE_BY_ONE:
                alignments = masked_softmax(scores, mask)  # [r, t, S]
            else:
                scores = scores if mask is None else ops.where(mask, scores, _LOWEST)
                alignments = ops.exp(scores - pieces["totals"])
            # The value is [r, Dv, S] here.
            bent = ops.matmul(pieces.get("upstream_and_means", upstream), pieces["value"])
            kept = blocks.keep(pieces)
            used = alignments
            if kept is not None:
                used, bent = alignments * kept, bent * kept
            if not folded:
                bent = bent - pieces["means"]
            of_value = of_value + ops.matmul(_turn(upstream), used)  # [r, Dv, S]
            bent = alignments * bent
            outputs = (ops.sum(bent, axis=0, keepdims=True),) if self.biased else ()  # [1, t, S]
            bent = bent if slope is None else bent * slope
            of_key = of_key + ops.matmul(_turn(pieces["query"]), bent)  # [r, D, S]
            of_query = ops.matmul(bent, pieces["whole_key"])  # [r, t, D]
            return (of_key, of_value), (of_query, *outputs)

        def row(of_bias, pieces):
            of_value = ops.zeros_like(pieces["value"][:, : value.shape[-1]])
            sums = ops.zeros_like(pieces["key"]), of_value
            (of_key, of_value), outputs = blocks.over_steps(
                block, sums, pieces, num_outputs=1 + self.biased
            )
            if self.biased:  # TensorFlow has lost the sizes that it knew.
                of_bias = of_bias + ops.reshape(outputs[1], ops.shape(of_bias))
            return of_bias, (outputs[0], of_key, of_value)

        pieces = {
            "query": blocks.cut(query),
            "upstream": blocks.cut(upstream),
            "means": blocks.cut(means),
            "whole_key": cut_examples(key, blocks.rows),
        }
        value_rows = _turn(value)
        if folded:  # upstream value' - means, as one product.
            both = ops.concatenate([upstream, -means], axis=-1)
            pieces["upstream_and_means"] = blocks.cut(both)
            ones = ops.ones_like(value_rows[:, :1])
            value_rows = ops.concatenate([value_rows, ones], axis=1)  # [R, Dv + 1, S]
        pieces["value"] = cut_examples(value_rows, blocks.rows)
        if totals is not None:
            pieces["totals"] = blocks.cut(totals)
        of_bias = ops.zeros_like(blocks.shared["bias"]) if self.biased else ()
        of_bias, (of_query, of_key, of_value) = blocks.over_rows(
            row, pieces, num_outputs=3, carry=of_bias
        )
        count, _, width = ops.shape(key)
        memory_length = ops.shape(key)[1]
        of_key = join_examples(of_key, (count, width, memory_length), blocks.rows)
        of_value = join_examples(of_value, (count, value.shape[-1], memory_length), blocks.rows)
        outputs = blocks.join(of_query), of_key, of_value
        if not self.biased:
            return outputs
        steps = ops.shape(query)[1]
        of_bias = join_blocks(of_bias[None], (1, steps, memory_length), 1, blocks.steps)
        return *outputs, of_bias[0]


class _Blocks:
    """The blocks of one group of rows: query [R, T, D], key [R, S, D], numbers [R, 1, 1]."""

    def __init__(self, rows: _Rows, query, key, numbers, bias):
        self.terms = rows.terms
        self.heads = rows.heads
        self.count, self.query_length, _ = ops.shape(query)
        self.memory_length = ops.shape(key)[1]
        self.rows, self.steps = block_sizes(
            self.count, self.query_length, self.memory_length, rows.elements
        )
        self.row_pieces = {
            "key": cut_examples(_turn(key), self.rows),  # [R / r, r, D, S]
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
        if _ONE_BY_ONE and self.terms.merely_causal and self.shade_is_small():
            seen = self.terms.see(rows.terms.order, self.memory_length)  # [T, S]
            shade = ops.where(seen, ops.zeros((), query.dtype), _LOWEST)
            self.shared["shade"] = self.cut(shade[None], rows=1)[0]  # [T / t, 1, t, S]

    def shade_is_small(self):
        """Whether a float [T, S] may be held; a length not known while tracing may be large."""
        sizes = self.query_length, self.memory_length
        return all(isinstance(size, int) for size in sizes) and math.prod(sizes) <= _SHADE_ELEMENTS

    def cut(self, tensor, rows=None):
        """[R, T, D] to [R / r, T / t, r, t, D]."""
        return cut_blocks(tensor, self.rows if rows is None else rows, self.steps)

    def join(self, blocks):
        """[R / r, T / t, r, t, D] to [R, T, D]."""
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
            moving["mask"] = self.cut(ops.take(self.mask, self.of_mask(numbers), axis=0))[0]
        names = list(moving)

        def step(carry, elements):
            return block(carry, {**fixed, **dict(zip(names, elements, strict=True))})

        return scan_blocks(step, carry, tuple(moving.values()), num_outputs)

    def of_mask(self, numbers):
        """Which matrix of the mask belongs to a row."""
        examples, heads = self.terms.attention_mask.shape[:2]
        if examples == 1:
            return numbers % self.heads
        return numbers // self.heads if heads == 1 else numbers

    def scores(self, pieces: dict, with_slope: bool = False):
        """Scores [r, t, S] of a block, their mask or None, the slope of the soft cap or None."""
        scores = ops.matmul(pieces["query"], pieces["key"])
        slope = None
        if self.terms.soft_cap is not None:
            scores = self.terms.cap(scores)
            if with_slope:
                slope = 1.0 - ops.square(scores / self.terms.soft_cap)
        if "bias" in pieces:
            scores = scores + pieces["bias"]
        if "shade" in pieces:  # One operation instead of four, and no row is without a place.
            return scores + pieces["shade"], None, slope
        near = self.terms.see(pieces["order"][0, :, 0], self.memory_length)
        mask = join(pieces.get("memory_mask"), pieces.get("mask"), near)
        return scores, mask, slope

    def keep(self, pieces: dict):
        """Dropout's factors of a block [r, t, S], or None."""
        if not self.terms.dropout:
            return None
        numbers, order = pieces["numbers"][:, 0, 0], pieces["order"][0, :, 0]
        kept = self.terms.keep(numbers, order, self.memory_length)
        return ops.cast(kept, pieces["query"].dtype)


def _turn(tensor):
    """[R, X, D] to [R, D, X]."""
    return ops.transpose(tensor, (0, 2, 1))

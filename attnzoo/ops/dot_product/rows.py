"""Examples and heads as rows, in groups that share a bias."""

from keras import ops

from attnzoo.ops.blocks import scan_blocks
from attnzoo.ops.dot_product.terms import Terms


class Rows:
    """The examples and heads of one call as rows, in groups that share a bias [T, S].

    Without a bias there is one group. The rows of a group go through blocks one after the other, so
    that the gradient of the bias is a sum, made in one place.

    Args:
        query: float [B, N, T, D].
        bias: float [B or 1, N or 1, T, S], or None.
        terms: Masks, dropout and the like.
        elements: How many elements [r, t, S] a block may take.
    """

    def __init__(self, query, bias, terms: Terms, elements: int):
        self.terms = terms
        self.elements = elements
        self.batch, self.heads = ops.shape(query)[0], query.shape[1]
        several_examples = bias is not None and bias.shape[0] != 1
        several_heads = bias is not None and bias.shape[1] != 1
        self.by_head = several_heads and not several_examples
        self.groups = (self.batch if several_examples else 1) * (self.heads if several_heads else 1)

    def cut(self, tensor):
        """Cut [B, N, X, D] into [G, R, X, D]."""
        if self.by_head:
            return ops.transpose(tensor, (1, 0, 2, 3))
        _, _, length, width = ops.shape(tensor)
        return ops.reshape(tensor, (self.groups, -1, length, width))

    def join(self, rows, length):
        """Undo `cut`: [G, R, X, D] to [B, N, X, D]."""
        if self.by_head:
            return ops.transpose(rows, (1, 0, 2, 3))
        return ops.reshape(rows, (self.batch, self.heads, length, ops.shape(rows)[-1]))

    def numbers(self):
        """Return b * N + n of each row: int32 [G, R, 1, 1]."""
        numbers = ops.arange(self.batch * self.heads, dtype="int32")
        return self.cut(ops.reshape(numbers, (self.batch, self.heads, 1, 1)))

    def flat_bias(self, bias):
        """Reshape a bias [B or 1, N or 1, T, S] to [G, T, S]."""
        _, _, steps, places = ops.shape(bias)
        return ops.reshape(bias, (self.groups, steps, places))

    def over_groups(self, compute, tensors: dict, num_outputs: int) -> list:
        """Call `compute(self, **tensors of one group)` for each group, and stack its outputs.

        Args:
            compute: Function that returns a tuple of `num_outputs` tensors.
            tensors: Tensors [G, ...] by name.
            num_outputs: How many outputs there are.
        """
        names, stacked = list(tensors), tuple(tensors.values())
        if isinstance(self.groups, int) and self.groups == 1:
            one_group = {name: one[0] for name, one in zip(names, stacked, strict=True)}
            return [ops.expand_dims(output, 0) for output in compute(self, **one_group)]

        def step(_, one_group):
            return (), compute(self, **dict(zip(names, one_group, strict=True)))

        return scan_blocks(step, (), stacked, num_outputs)[1]

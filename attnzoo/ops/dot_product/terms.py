"""The terms of dot-product attention beside query, key and value."""

import dataclasses
import typing

from keras import ops

from attnzoo.ops.dropout import dropout_factors


@dataclasses.dataclass(frozen=True, eq=False)
class Terms:
    """Masks, cap and dropout: all that shapes the alignments and has no gradient.

    Args:
        order: int32 [T]. Number of each query, from 0 on.
        group: How many queries, one after the other, stand at one step.
        memory_start: Where the first row of memory stands, in steps.
        memory_mask: bool [B, S], or None.
        attention_mask: bool [B or 1, N or 1, T, S], or None.
        soft_cap: The bound of the scores, or None.
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

    def cap_scores(self, scores):
        """Bend scores to stay between -soft_cap and soft_cap."""
        if self.soft_cap is None:
            return scores
        return self.soft_cap * ops.tanh(scores / self.soft_cap)

    @property
    def only_causal(self):
        """Whether causality alone hides places: then each query sees at least one."""
        hiding = self.memory_mask, self.attention_mask, self.window
        return self.causal and all(one is None for one in hiding) and self.memory_start == 0

    def visible(self, order, memory_length):
        """Return the places that queries of these numbers [t] see: bool [t, S], or None for all."""
        if not self.causal and self.window is None:
            return None
        steps = order if self.group == 1 else order // self.group
        back = ops.expand_dims(steps, 1) - self.places(memory_length)  # [t, S]
        if self.window is None:
            return back >= 0
        near = back <= self.window
        return ops.logical_and(near, back >= 0 if self.causal else back >= -self.window)

    def places(self, memory_length):
        """Return the places of the rows of memory: int32 [S]."""
        return self.memory_start + ops.arange(memory_length, dtype="int32")

    def dropout_factors(self, rows, order, memory_length):
        """Return the factors of dropout for rows [r] and queries [t], float32 [r, t, S]."""
        return dropout_factors(self.dropout, self.seed, rows, order, self.places(memory_length))


def join_masks(*masks):
    """Return the places that all masks allow. None allows all."""
    given = [mask for mask in masks if mask is not None]
    joined = given[0] if given else None
    for mask in given[1:]:
        joined = ops.logical_and(joined, mask)
    return joined

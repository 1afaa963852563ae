"""Pure functions on tensors: no weights, no randomness, no layers."""

from attnzoo.ops.additive import additive_scores
from attnzoo.ops.linear import linear, weighted_sum
from attnzoo.ops.masks import causal_mask, combine_masks, padding_mask
from attnzoo.ops.normalizers import hardmax, masked_softmax

__all__ = [
    "additive_scores",
    "causal_mask",
    "combine_masks",
    "hardmax",
    "linear",
    "masked_softmax",
    "padding_mask",
    "weighted_sum",
]

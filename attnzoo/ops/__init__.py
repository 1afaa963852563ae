"""Pure functions on tensors: no weights, no randomness, no layers."""

from attnzoo.ops.additive import additive_scores
from attnzoo.ops.coverage import coverage_loss
from attnzoo.ops.linear import linear, weighted_sum
from attnzoo.ops.location import location_features
from attnzoo.ops.marginal import marginal_log_probs
from attnzoo.ops.masks import causal_mask, combine_masks, padding_mask
from attnzoo.ops.monotonic import (
    all_monotonic_alignments,
    choose_probabilities,
    chunkwise_alignments,
    monotonic_alignments,
)
from attnzoo.ops.normalizers import (
    entmax15,
    get_normalizer,
    hardmax,
    masked_log_softmax,
    masked_softmax,
    sparsemax,
)
from attnzoo.ops.windows import gather_windows, spread_windows

__all__ = [
    "additive_scores",
    "all_monotonic_alignments",
    "causal_mask",
    "choose_probabilities",
    "chunkwise_alignments",
    "combine_masks",
    "coverage_loss",
    "entmax15",
    "gather_windows",
    "get_normalizer",
    "hardmax",
    "linear",
    "location_features",
    "marginal_log_probs",
    "masked_log_softmax",
    "masked_softmax",
    "monotonic_alignments",
    "padding_mask",
    "sparsemax",
    "spread_windows",
    "weighted_sum",
]

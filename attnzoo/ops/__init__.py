"""Pure functions on tensors: no weights, no randomness, no layers."""

from attnzoo.ops.additive import additive_scores
from attnzoo.ops.coverage import coverage_loss
from attnzoo.ops.dot_product import align_heads, dot_product_attention, dot_product_scores
from attnzoo.ops.hmm import (
    free_moves,
    jump_moves,
    move_by_jumps,
    move_freely,
    observe,
)
from attnzoo.ops.linear import linear, weighted_sum
from attnzoo.ops.location import location_features
from attnzoo.ops.marginal import marginal_log_probs, target_log_probs
from attnzoo.ops.masks import causal_mask, combine_masks, padding_mask
from attnzoo.ops.matches import ngram_matches
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
from attnzoo.ops.pointer import copy_places, pointer_log_probs
from attnzoo.ops.updates import write_steps
from attnzoo.ops.windows import gather_windows, spread_windows

__all__ = [
    "additive_scores",
    "align_heads",
    "all_monotonic_alignments",
    "causal_mask",
    "choose_probabilities",
    "chunkwise_alignments",
    "combine_masks",
    "copy_places",
    "coverage_loss",
    "dot_product_attention",
    "dot_product_scores",
    "entmax15",
    "free_moves",
    "gather_windows",
    "get_normalizer",
    "hardmax",
    "jump_moves",
    "linear",
    "location_features",
    "marginal_log_probs",
    "masked_log_softmax",
    "masked_softmax",
    "monotonic_alignments",
    "move_by_jumps",
    "move_freely",
    "ngram_matches",
    "observe",
    "padding_mask",
    "pointer_log_probs",
    "sparsemax",
    "spread_windows",
    "target_log_probs",
    "weighted_sum",
    "write_steps",
]

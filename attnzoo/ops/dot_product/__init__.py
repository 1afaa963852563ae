"""Scaled dot-product attention over heads.

Heads stand in front of steps, [B, N, T, D], so that one head is a plain matrix to every product.
"""

from attnzoo.ops.dot_product.alignments import (
    align_heads,
    dot_product_scores,
    dropped_alignments,
    grouped_matmul,
)
from attnzoo.ops.dot_product.attention import dot_product_attention

__all__ = [
    "align_heads",
    "dot_product_attention",
    "dot_product_scores",
    "dropped_alignments",
    "grouped_matmul",
]

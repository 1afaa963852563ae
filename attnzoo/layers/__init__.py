"""Layers: scores, attentions, and the decoders built on them."""

from attnzoo.layers.attention import (
    Attention,
    BahdanauAttention,
    ChunkwiseAttention,
    CoverageAttention,
    ExactHardAttention,
    HardAttention,
    LocalAttention,
    LocationSensitiveAttention,
    LuongAttention,
    MonotonicAttention,
    SoftAttention,
)
from attnzoo.layers.output import MarginalLogits
from attnzoo.layers.rnn import AttentionCell, AttentionRNN, Bridge, RNNEncoder
from attnzoo.layers.scores import (
    AdditiveScore,
    BilinearScore,
    CoverageScore,
    DotScore,
    LocationScore,
    LocationSensitiveScore,
    Score,
)

__all__ = [
    "AdditiveScore",
    "Attention",
    "AttentionCell",
    "AttentionRNN",
    "BahdanauAttention",
    "BilinearScore",
    "Bridge",
    "ChunkwiseAttention",
    "CoverageAttention",
    "CoverageScore",
    "DotScore",
    "ExactHardAttention",
    "HardAttention",
    "LocalAttention",
    "LocationScore",
    "LocationSensitiveAttention",
    "LocationSensitiveScore",
    "LuongAttention",
    "MarginalLogits",
    "MonotonicAttention",
    "RNNEncoder",
    "Score",
    "SoftAttention",
]

"""Layers: scores, attentions, and the decoders built on them."""

from attnzoo.layers.attention import Attention, BahdanauAttention, LuongAttention, SoftAttention
from attnzoo.layers.rnn import AttentionCell, AttentionRNN, Bridge, RNNEncoder
from attnzoo.layers.scores import AdditiveScore, BilinearScore, DotScore, LocationScore, Score

__all__ = [
    "AdditiveScore",
    "Attention",
    "AttentionCell",
    "AttentionRNN",
    "BahdanauAttention",
    "BilinearScore",
    "Bridge",
    "DotScore",
    "LocationScore",
    "LuongAttention",
    "RNNEncoder",
    "Score",
    "SoftAttention",
]

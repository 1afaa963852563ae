"""Recurrent cells that attend, the loop over them, and what stands before them."""

from attnzoo.layers.rnn.attention_cell import AttentionCell
from attnzoo.layers.rnn.attention_rnn import AttentionRNN
from attnzoo.layers.rnn.bridge import Bridge
from attnzoo.layers.rnn.encoder import RNNEncoder

__all__ = ["AttentionCell", "AttentionRNN", "Bridge", "RNNEncoder"]

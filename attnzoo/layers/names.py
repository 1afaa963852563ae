"""The table of names: what `attnzoo.layers` exports, and the strings that stand for layers.

A new layer is imported here and named in `__all__`. If models may ask for it by a string, it has a
line in the table of its kind too.
"""

from attnzoo.layers.attention.base import Attention
from attnzoo.layers.attention.chunkwise import ChunkwiseAttention
from attnzoo.layers.attention.coverage import CoverageAttention
from attnzoo.layers.attention.doubly_stochastic import DoublyStochasticPenalty
from attnzoo.layers.attention.exact import ExactHardAttention
from attnzoo.layers.attention.exact_monotonic import ExactMonotonicAttention
from attnzoo.layers.attention.gumbel_softmax import GumbelSoftmaxAttention
from attnzoo.layers.attention.hard import HardAttention
from attnzoo.layers.attention.local import LocalAttention
from attnzoo.layers.attention.location_sensitive import LocationSensitiveAttention
from attnzoo.layers.attention.monotonic import MonotonicAttention
from attnzoo.layers.attention.multi_head import MultiHeadAttention
from attnzoo.layers.attention.pooling import AttentivePooling
from attnzoo.layers.attention.reinforce import ReinforceAttention
from attnzoo.layers.attention.self_attention import MultiHeadSelfAttention
from attnzoo.layers.attention.soft import BahdanauAttention, LuongAttention, SoftAttention
from attnzoo.layers.attention.straight_through import StraightThroughAttention
from attnzoo.layers.audio.log_mel import LogMelSpectrogram
from attnzoo.layers.audio.spec_augment import SpecAugment
from attnzoo.layers.output.crf import LinearChainCRF
from attnzoo.layers.output.marginal_logits import MarginalLogits
from attnzoo.layers.output.monotonic_marginal_logits import MonotonicMarginalLogits
from attnzoo.layers.output.pointer_generator import PointerGenerator
from attnzoo.layers.positions.alibi import AlibiPosition
from attnzoo.layers.positions.base import Position
from attnzoo.layers.positions.learned import LearnedPosition
from attnzoo.layers.positions.relative import RelativePosition
from attnzoo.layers.positions.rotary import RotaryPosition
from attnzoo.layers.positions.sinusoidal import SinusoidalPosition
from attnzoo.layers.positions.t5 import T5Position
from attnzoo.layers.rnn.attention_cell import AttentionCell
from attnzoo.layers.rnn.attention_rnn import AttentionRNN
from attnzoo.layers.rnn.bridge import Bridge
from attnzoo.layers.rnn.encoder import RNNEncoder
from attnzoo.layers.scores.additive import AdditiveScore
from attnzoo.layers.scores.base import Score
from attnzoo.layers.scores.bilinear import BilinearScore
from attnzoo.layers.scores.coverage import CoverageScore
from attnzoo.layers.scores.dot import DotScore
from attnzoo.layers.scores.location import LocationScore
from attnzoo.layers.scores.location_sensitive import LocationSensitiveScore
from attnzoo.layers.spelling import WordSpelling
from attnzoo.layers.transformer.blocks import TransformerDecoderBlock, TransformerEncoderBlock
from attnzoo.layers.transformer.feed_forward import FeedForward
from attnzoo.layers.vision.bottleneck import BottleneckBlock, BottleneckTransformerBlock
from attnzoo.layers.vision.cbam import CBAM
from attnzoo.layers.vision.channel_attention import ChannelAttention
from attnzoo.layers.vision.channel_attention_block import ChannelAttentionBlock
from attnzoo.layers.vision.efficient_channel import EfficientChannelAttention
from attnzoo.layers.vision.external import ExternalAttention
from attnzoo.layers.vision.global_context import GlobalContext
from attnzoo.layers.vision.hybrid_attention_block import HybridAttentionBlock
from attnzoo.layers.vision.non_local import NonLocalBlock
from attnzoo.layers.vision.overlapping_cross_attention import OverlappingCrossAttention
from attnzoo.layers.vision.overlapping_cross_attention_block import OverlappingCrossAttentionBlock
from attnzoo.layers.vision.polarized import PolarizedSelfAttention
from attnzoo.layers.vision.relative_2d import RelativeSelfAttention2D
from attnzoo.layers.vision.residual_hybrid_attention_group import ResidualHybridAttentionGroup
from attnzoo.layers.vision.squeeze_excitation import SqueezeExcitation
from attnzoo.layers.vision.window_attention import WindowAttention

__all__ = [
    "AdditiveScore",
    "AlibiPosition",
    "Attention",
    "AttentionCell",
    "AttentionRNN",
    "AttentivePooling",
    "BahdanauAttention",
    "BilinearScore",
    "BottleneckBlock",
    "BottleneckTransformerBlock",
    "Bridge",
    "CBAM",
    "ChannelAttention",
    "ChannelAttentionBlock",
    "ChunkwiseAttention",
    "CoverageAttention",
    "CoverageScore",
    "DotScore",
    "DoublyStochasticPenalty",
    "EfficientChannelAttention",
    "ExactHardAttention",
    "ExactMonotonicAttention",
    "ExternalAttention",
    "FeedForward",
    "GlobalContext",
    "GumbelSoftmaxAttention",
    "HardAttention",
    "HybridAttentionBlock",
    "LearnedPosition",
    "LinearChainCRF",
    "LocalAttention",
    "LocationScore",
    "LocationSensitiveAttention",
    "LocationSensitiveScore",
    "LogMelSpectrogram",
    "LuongAttention",
    "MarginalLogits",
    "MonotonicAttention",
    "MonotonicMarginalLogits",
    "MultiHeadAttention",
    "MultiHeadSelfAttention",
    "NonLocalBlock",
    "OverlappingCrossAttention",
    "OverlappingCrossAttentionBlock",
    "PointerGenerator",
    "PolarizedSelfAttention",
    "Position",
    "RNNEncoder",
    "ReinforceAttention",
    "RelativePosition",
    "RelativeSelfAttention2D",
    "ResidualHybridAttentionGroup",
    "RotaryPosition",
    "Score",
    "SinusoidalPosition",
    "SoftAttention",
    "SpecAugment",
    "SqueezeExcitation",
    "StraightThroughAttention",
    "T5Position",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
    "WindowAttention",
    "WordSpelling",
]

# Luong's words stand beside ours.
SCORES = {
    "dot": DotScore,
    "bilinear": BilinearScore,
    "general": BilinearScore,
    "additive": AdditiveScore,
    "concat": AdditiveScore,
    "location": LocationScore,
}

POSITIONS: dict[str, type[Position]] = {
    "none": Position,
    "sinusoidal": SinusoidalPosition,
    "learned": LearnedPosition,
    "rotary": RotaryPosition,
    "relative": RelativePosition,
    "t5": T5Position,
    "alibi": AlibiPosition,
}


def _with(score: str, **arguments):
    """Return arguments for a score that needs the width."""
    return lambda units: {"score": score, "units": units, **arguments}


def _heads(units: int) -> dict:
    """Return heads that together are as wide as the decoder: 8, or as many as divide it."""
    num_heads = next(heads for heads in (8, 4, 2, 1) if units % heads == 0)
    return {"num_heads": num_heads, "key_dim": units // num_heads}


# The class that a model makes of a name, and its arguments, given the width of the decoder.
ATTENTIONS = {
    "bahdanau": (BahdanauAttention, lambda units: {"units": units}),
    "bahdanau_normalized": (BahdanauAttention, lambda units: {"units": units, "normalize": True}),
    "luong": (LuongAttention, lambda units: {"score": "general"}),
    "luong_general": (LuongAttention, lambda units: {"score": "general"}),
    "luong_dot": (LuongAttention, lambda units: {"score": "dot"}),
    "luong_concat": (LuongAttention, _with("concat")),
    "sparsemax": (SoftAttention, _with("additive", normalizer="sparsemax")),
    "entmax15": (SoftAttention, _with("additive", normalizer="entmax15")),
    "location_sensitive": (LocationSensitiveAttention, lambda units: {"units": units}),
    "coverage": (CoverageAttention, lambda units: {"units": units}),
    "local_predictive": (LocalAttention, lambda units: {"mode": "predictive"}),
    "local_monotonic": (LocalAttention, lambda units: {"mode": "monotonic"}),
    "monotonic": (MonotonicAttention, _with("additive")),
    "chunkwise": (ChunkwiseAttention, _with("additive", window=2)),
    "hard": (HardAttention, _with("additive")),
    "hard_straight_through": (HardAttention, _with("additive", estimator="straight_through")),
    "hard_gumbel": (HardAttention, _with("additive", estimator="gumbel")),
    "multi_head": (MultiHeadAttention, _heads),
    "hard_exact": (ExactHardAttention, lambda units: {"score": "bilinear"}),
    "exact_monotonic": (ExactMonotonicAttention, lambda units: {"score": "bilinear"}),
    "exact_monotonic_zeroth": (
        ExactMonotonicAttention,
        lambda units: {"score": "bilinear", "order": 0},
    ),
}

# The attentions over a map that keep its shape: what stands after a convolution.
MAP_ATTENTIONS: dict[str, type] = {
    "polarized": PolarizedSelfAttention,
    "squeeze_excitation": SqueezeExcitation,
    "efficient_channel": EfficientChannelAttention,
    "cbam": CBAM,
    "non_local": NonLocalBlock,
    "external": ExternalAttention,
    "global_context": GlobalContext,
}

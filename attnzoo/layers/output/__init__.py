"""OUTPUTS OF A DECODER -> LOGITS."""

from attnzoo.layers.output.base import OutputLayer
from attnzoo.layers.output.marginal_logits import MarginalLogits
from attnzoo.layers.output.monotonic_marginal_logits import MonotonicMarginalLogits
from attnzoo.layers.output.pointer_generator import PointerGenerator
from attnzoo.layers.output.tied_logits import TiedLogits
from attnzoo.layers.output.token_logits import TokenLogits

__all__ = [
    "MarginalLogits",
    "MonotonicMarginalLogits",
    "OutputLayer",
    "PointerGenerator",
    "TiedLogits",
    "TokenLogits",
]

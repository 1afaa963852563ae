"""What the decoder gives -> LOGITS."""

from attnzoo.layers.output.base import OutputLayer
from attnzoo.layers.output.marginal_logits import MarginalLogits
from attnzoo.layers.output.tied_logits import TiedLogits
from attnzoo.layers.output.token_logits import TokenLogits

__all__ = ["MarginalLogits", "OutputLayer", "TiedLogits", "TokenLogits"]

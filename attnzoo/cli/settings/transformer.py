"""Backbones of Transformers."""

import dataclasses

from attnzoo.cli.settings.backbone import Decoder, TextEncoder
from attnzoo.cli.settings.option import option


@dataclasses.dataclass(frozen=True)
class TransformerEncoder(TextEncoder):
    """Transformer"""

    num_heads: int = option(4, "heads of each attention")
    feed_forward_dim: int | None = option(
        None, "width of the feed-forward layers; 4 times hidden-dim if not given"
    )
    position: str | None = option(
        "sinusoidal", "sinusoidal, learned, rotary, relative, t5, alibi or none"
    )
    share_position: bool = option(
        False, "let all blocks of a side share one table, of relative or t5 positions"
    )
    block_options: dict | None = option(
        None,
        "arguments of the layer of each block: norm_first=false activation=swiglu "
        "stochastic_depth=0.1",
    )

    def layer_arguments(self) -> dict:
        return {"block_options": self.block_options} if self.block_options else {}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {
            **super().new_arguments(dtype, longest),
            "num_heads": self.num_heads,
            "feed_forward_dim": self.feed_forward_dim,
            "position": self.position,
            "share_position": self.share_position,
            "max_length": longest if self.position == "learned" else None,
            "block": self.block_options,
        }


@dataclasses.dataclass(frozen=True)
class TransformerSeq2Seq(TransformerEncoder, Decoder):
    """Transformer from texts to texts"""

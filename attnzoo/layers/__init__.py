"""Layers: scores, attentions, and the decoders built on them."""

from attnzoo.layers.names import *  # noqa: F403
from attnzoo.layers.names import __all__ as __all__

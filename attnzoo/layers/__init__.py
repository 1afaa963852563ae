"""Layers: scores, attentions, and the decoders built on them.

Every layer documents its arguments and its call: `help(attnzoo.layers.BahdanauAttention)`.
"""

from attnzoo.layers import names as _names
from attnzoo.layers.docs import document_call as _document_call
from attnzoo.layers.docs import summaries as _summaries
from attnzoo.layers.names import *  # noqa: F403
from attnzoo.layers.names import __all__ as __all__

_layers = [getattr(_names, name) for name in __all__]
if __doc__:  # Python removes docstrings if it is asked to (-OO).
    __doc__ += _summaries(_layers)
    for _layer in _layers:
        _document_call(_layer)

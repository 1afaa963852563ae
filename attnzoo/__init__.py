"""attnzoo: every attention mechanism, on every Keras backend, from the paper to a SavedModel."""

import importlib

from attnzoo.cli.startup import loading

with loading():  # It makes a difference in the command alone.
    from attnzoo import layers, ops

__version__ = "0.1.0"

# These need more than Keras, or are needed by few: they load when first asked for.
_LAZY = (
    "analysis",
    "data",
    "export",
    "importing",
    "models",
    "plotting",
    "presets",
    "samplers",
    "training",
)


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"attnzoo.{name}")
    raise AttributeError(f"module 'attnzoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])


__all__ = ["__version__", "layers", "ops", *_LAZY]

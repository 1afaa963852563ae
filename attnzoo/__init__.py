"""attnzoo: every attention mechanism, on every Keras backend, from the paper to a SavedModel."""

import importlib

__version__ = "0.1.0"

# Each loads when it is first asked for: only `plotting` and `runtime` need no Keras.
_LAZY = (
    "analysis",
    "data",
    "export",
    "importing",
    "layers",
    "models",
    "ops",
    "plotting",
    "presets",
    "runtime",
    "samplers",
    "training",
)


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"attnzoo.{name}")
    raise AttributeError(f"module 'attnzoo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])


__all__ = ["__version__", *_LAZY]

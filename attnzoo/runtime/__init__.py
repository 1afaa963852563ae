"""Runs exported models with NumPy and ONNX Runtime or LiteRT: without Keras, TensorFlow or attnzoo.

Nothing outside this folder is imported, so that it is a distribution of its own, `attnzoo-runtime`.
"""

from .model import Model

__all__ = ["Model"]

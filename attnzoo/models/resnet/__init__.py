"""Residual networks with attention: backbones, and classifiers of pictures."""

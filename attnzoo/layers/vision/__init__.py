"""Attention over maps: features of a picture, float [B, H, W, C], channels last."""

"""Transformer blocks, and the feed-forward layer in them."""

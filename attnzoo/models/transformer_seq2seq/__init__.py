"""A Transformer encoder and decoder."""

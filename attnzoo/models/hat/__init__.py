"""HAT: the Hybrid Attention Transformer, for super-resolution."""

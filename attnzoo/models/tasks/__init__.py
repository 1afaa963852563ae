"""Base classes of tasks: training, saving, decoding, classification, tagging."""

"""Tasks of every family: training, saving, decoding, classification, tagging."""

"""A Transformer encoder, with a classifier, a tagger and a masked language model on top."""

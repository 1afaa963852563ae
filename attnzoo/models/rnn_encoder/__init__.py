"""A recurrent encoder, with a classifier and a tagger on top."""

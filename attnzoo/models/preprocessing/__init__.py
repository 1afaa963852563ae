"""Preprocessors, from strings to token ids and back: one file for each kind."""

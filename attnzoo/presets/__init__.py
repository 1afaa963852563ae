"""The built-in presets: trained models, found by name, task or language, each with its card.

A preset is named family_size_data, and some have a short alias, such as `g2p_en`.
`attnzoo.models.RNNSeq2SeqLM.from_preset(name)` loads one, `attnzoo presets` lists all.
"""

from attnzoo.presets.card import Card, Score, read_card
from attnzoo.presets.table import ALIASES, PRESETS, find_preset, list_presets, suggest

__all__ = [
    "ALIASES",
    "Card",
    "PRESETS",
    "Score",
    "find_preset",
    "list_presets",
    "read_card",
    "suggest",
]

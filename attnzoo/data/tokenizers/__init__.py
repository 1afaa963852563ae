"""Tokenizers with one id per symbol: a character, or a word between spaces."""

from attnzoo.data.tokenizers.character import CharacterTokenizer
from attnzoo.data.tokenizers.conversion import in_graph
from attnzoo.data.tokenizers.symbol import SymbolTokenizer
from attnzoo.data.tokenizers.vocabulary import SPECIAL_TOKENS, VOCABULARY_FILE

__all__ = [
    "SPECIAL_TOKENS",
    "VOCABULARY_FILE",
    "CharacterTokenizer",
    "SymbolTokenizer",
    "in_graph",
]

"""Options of the tokenizers that a new model makes from its training data."""

import dataclasses
from collections.abc import Sequence

from attnzoo.cli.settings.option import Options, at_least, option

SUBWORDS = ("unigram", "bpe", "byte_bpe", "word_piece")
TOKENIZERS = ("symbol", "character", *SUBWORDS)


@dataclasses.dataclass(frozen=True)
class Tokenizers(Options):
    """Vocabularies"""

    lowercase: bool = option(False, "lower-case all text")
    min_count: int = option(
        1, "smallest number of occurrences of a symbol in the vocabulary", limit=at_least(1)
    )
    max_vocabulary: int | None = option(
        None, "largest number of symbols; for subwords 8000 if not given"
    )

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each tokenizer, by its option."""
        raise NotImplementedError

    def make(self, sides: Sequence[Sequence[str]]) -> list:
        """Return one tokenizer for each side.

        Args:
            sides: The texts of each side; see `Batches.sides`.
        """
        return [
            self._make(kind, texts) for kind, texts in zip(self.kinds.values(), sides, strict=True)
        ]

    def _make(self, kind, texts):
        from attnzoo.data import CharacterTokenizer, SymbolTokenizer, train_subword_tokenizer

        if kind in SUBWORDS:
            return train_subword_tokenizer(
                texts,
                vocabulary_size=self.max_vocabulary or 8000,
                model=kind,
                lowercase=self.lowercase,
            )
        return {"symbol": SymbolTokenizer, "character": CharacterTokenizer}[kind].from_texts(
            texts,
            min_count=self.min_count,
            max_size=self.max_vocabulary,
            lowercase=self.lowercase,
        )


@dataclasses.dataclass(frozen=True)
class TextTokenizer(Tokenizers):
    """Tokenizers"""

    source_tokenizer: str = option(
        "symbol",
        "symbols between white space, characters, or subwords of four kinds",
        choices=TOKENIZERS,
    )

    @property
    def kinds(self) -> dict[str, str]:
        return {"source_tokenizer": self.source_tokenizer}


@dataclasses.dataclass(frozen=True)
class TargetTokenizer(Tokenizers):
    """Tokenizers of targets"""

    target_tokenizer: str = option("symbol", "likewise for the target", choices=TOKENIZERS)

    @property
    def kinds(self) -> dict[str, str]:
        return {"target_tokenizer": self.target_tokenizer}


@dataclasses.dataclass(frozen=True)
class PairTokenizers(TextTokenizer, TargetTokenizer):
    """Tokenizers of both sides"""

    joint_tokenizer: bool = option(False, "one tokenizer for both sides, made from all texts")

    def __post_init__(self):
        super().__post_init__()
        if self.joint_tokenizer and self.source_tokenizer != self.target_tokenizer:
            raise ValueError(
                "A joint tokenizer is of one kind for both sides. Received: source_tokenizer="
                f"{self.source_tokenizer!r}, target_tokenizer={self.target_tokenizer!r}"
            )

    @property
    def kinds(self) -> dict[str, str]:
        return {
            "source_tokenizer": self.source_tokenizer,
            "target_tokenizer": self.target_tokenizer,
        }

    def make(self, sides: Sequence[Sequence[str]]) -> list:
        if self.joint_tokenizer:
            sources, targets = sides
            return [self._make(self.source_tokenizer, [*sources, *targets])] * 2
        return super().make(sides)

"""Options of data: lengths, batches, and the preprocessor."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnzoo.cli.settings.option import ABOVE_ZERO, SHARE, Options, at_least, option

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Batches(Options):
    """Batches"""

    batch_size: int = option(128, "pairs, or texts, in a batch", limit=at_least(1))

    @property
    def longest(self) -> int:
        """Largest number of tokens in a text."""
        raise NotImplementedError

    def reading_arguments(self) -> dict:
        """Return arguments of `attnzoo.cli.data_files.read_data`."""
        return {}

    def preprocessor_arguments(self) -> dict:
        """Return the arguments of the preprocessor."""
        raise NotImplementedError

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        """Return the texts for each tokenizer's vocabulary."""
        raise NotImplementedError

    def vocabulary_sizes(self, preprocessor: "keras.layers.Layer") -> list[int]:
        """Return the vocabulary sizes for the backbone, one for each tokenizer."""
        return [preprocessor.tokenizer.vocabulary_size()]

    def make_batches(self, data: Sequence, task: "keras.Model", *, seed: int, drawn: bool):
        """Return batches for `fit` and `evaluate`.

        Args:
            data: Data from `attnzoo.cli.data_files.read_data`.
            task: The task, with its preprocessor.
            seed: Seed of the order and of all random draws.
            drawn: Whether each epoch has another order, as in training.
        """
        order = self._drawn(seed) if drawn else {"shuffle": False}
        return self._make_batches(data, task, {**self._size(), **order})

    def _size(self) -> dict:
        return {"batch_size": self.batch_size}

    def _drawn(self, seed: int) -> dict:
        return {"seed": seed}

    def _make_batches(self, data, task, arguments):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class TextData(Batches):
    """Batches of texts"""

    max_source_length: int = option(
        64, "longest source, in tokens; longer ones are truncated", limit=at_least(1)
    )
    max_tokens: int | None = option(
        None,
        "in place of batch-size: largest number of tokens in a batch, for sources and for targets "
        "each, padding counted",
    )
    subword_sampling: float | None = option(
        None,
        "subword regularization: each epoch draws other pieces of the same texts from the "
        "unigram model with this exponent, such as 0.3; the smaller, the more uniform the draw. "
        "For unigram tokenizers",
        limit=ABOVE_ZERO,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.max_tokens is not None and self.batch_size != type(self).batch_size:
            raise ValueError(
                "`max_tokens` stands in place of `batch_size`. Received: "
                f"max_tokens={self.max_tokens} with batch_size={self.batch_size}"
            )

    @property
    def longest(self) -> int:
        return self.max_source_length

    def preprocessor_arguments(self) -> dict:
        return {"sequence_length": self.max_source_length}

    def _size(self) -> dict:
        return super()._size() if self.max_tokens is None else {"max_tokens": self.max_tokens}

    def _drawn(self, seed: int) -> dict:
        return {**super()._drawn(seed), "subword_sampling": self.subword_sampling}


@dataclasses.dataclass(frozen=True)
class LabelledData(TextData):
    """Batches of texts with labels"""

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        return [[text for text, _ in data]]

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import LabelledBatches

        texts, labels = zip(*data, strict=True)
        ids = task.label_ids(list(labels))
        return LabelledBatches(texts, ids, task.preprocessor, **arguments)


@dataclasses.dataclass(frozen=True)
class TaggedData(LabelledData):
    """Batches of words with tags"""

    def __post_init__(self):
        super().__post_init__()
        if self.subword_sampling is not None:
            raise ValueError(
                "Words with tags keep the tokenizer's own pieces. "
                f"Received: subword_sampling={self.subword_sampling}"
            )

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import TaggedBatches

        texts, tags = zip(*data, strict=True)
        arguments.pop("subword_sampling", None)
        return TaggedBatches(texts, task.label_ids(list(tags)), task.preprocessor, **arguments)


@dataclasses.dataclass(frozen=True)
class MaskedData(TextData):
    """Masked tokens"""

    mask_rate: float = option(0.15, "share of a text's tokens that are masked", limit=SHARE)

    def preprocessor_arguments(self) -> dict:
        return {**super().preprocessor_arguments(), "mask_rate": self.mask_rate}

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        return [data]

    def vocabulary_sizes(self, preprocessor: "keras.layers.Layer") -> list[int]:
        preprocessor.build(None)
        # The mask token may be added after all others.
        return [max(*super().vocabulary_sizes(preprocessor), preprocessor.mask_token_id + 1)]

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import MaskedBatches

        return MaskedBatches(data, task.preprocessor, **arguments)


@dataclasses.dataclass(frozen=True)
class SpanData(TextData):
    """Questions and contexts"""

    span_unit: str = option(
        "words",
        "where answers begin and end: at words, also at punctuation and each character of scripts "
        "without blanks, or at any character",
        choices=("words", "word_parts", "characters"),
    )
    stride: int | None = option(
        None,
        "split a longer context into windows that begin this many tokens apart; by default it is "
        "truncated",
        limit=at_least(1),
    )
    no_answer: bool = option(False, "a context may lack the answer, as in SQuAD 2.0")

    def preprocessor_arguments(self) -> dict:
        names = ("span_unit", "stride", "no_answer")
        return {
            **super().preprocessor_arguments(),
            **{name: getattr(self, name) for name in names},
        }

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        contexts = dict.fromkeys(one.context for one in data)  # Many questions share one.
        return [[*contexts, *(one.question for one in data)]]

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import SpanBatches

        pairs, spans = [one.pair for one in data], [one.span for one in data]
        return SpanBatches(pairs, spans, task.preprocessor, **arguments)


@dataclasses.dataclass(frozen=True)
class TargetData(Batches):
    """Batches with targets"""

    max_target_length: int = option(64, "longest target, in tokens", limit=at_least(1))
    num_buckets: int = option(
        5, "shapes of batches; each costs a compilation, fewer cost padding", limit=at_least(1)
    )

    @property
    def longest(self) -> int:
        return self.max_target_length

    def preprocessor_arguments(self) -> dict:
        return {"decoder_sequence_length": self.max_target_length}


@dataclasses.dataclass(frozen=True)
class PairData(TextData, TargetData):
    """Batches of pairs"""

    @property
    def longest(self) -> int:
        return max(self.max_source_length, self.max_target_length)

    def preprocessor_arguments(self) -> dict:
        return {
            "encoder_sequence_length": self.max_source_length,
            "decoder_sequence_length": self.max_target_length,
        }

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        return list(zip(*data, strict=True))

    def vocabulary_sizes(self, preprocessor: "keras.layers.Layer") -> list[int]:
        source = preprocessor.source_tokenizer.vocabulary_size()
        return [source, *super().vocabulary_sizes(preprocessor)]

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import BucketedBatches

        return BucketedBatches(data, task.preprocessor, num_buckets=self.num_buckets, **arguments)


@dataclasses.dataclass(frozen=True)
class CaptionData(TargetData):
    """Batches of pictures with captions"""

    caption_column: int = option(
        1, "column of the captions in the TSV file, counted from 0", limit=at_least(0)
    )

    def reading_arguments(self) -> dict:
        return {"caption_column": self.caption_column}

    def sides(self, data: Sequence) -> list[Sequence[str]]:
        return [[caption for _, caption in data]]

    def _make_batches(self, data, task, arguments):
        from attnzoo.data import CaptionBatches

        return CaptionBatches(data, task.preprocessor, num_buckets=self.num_buckets, **arguments)

"""Options of the task's layers after the backbone."""

import dataclasses
from collections.abc import Sequence

from attnzoo.cli.settings.option import Options, at_least, option


@dataclasses.dataclass(frozen=True)
class Head(Options):
    """Head without options"""

    def preprocessor_arguments(self) -> dict:
        """Return arguments for the preprocessor that depend on the head."""
        return {}

    def arguments(self, data: Sequence, dropout: float) -> dict:
        """Return the arguments of the task.

        Args:
            data: The training data.
            dropout: Dropout of the backbone.
        """
        return {}


@dataclasses.dataclass(frozen=True)
class ClassifierHead(Head):
    """Classifier"""

    def arguments(self, data: Sequence, dropout: float) -> dict:
        return {"class_names": sorted({label for _, label in data}), "dropout": dropout}


@dataclasses.dataclass(frozen=True)
class TaggerHead(Head):
    """Tagger"""

    head: str = option(
        "softmax",
        "a distribution for each word, or a conditional random field over all tags of a text",
        choices=("softmax", "crf"),
    )

    def arguments(self, data: Sequence, dropout: float) -> dict:
        names = {tag for _, tags in data for tag in tags.split()}
        return {"class_names": sorted(names), "dropout": dropout, "head": self.head}


@dataclasses.dataclass(frozen=True)
class RNNClassifierHead(ClassifierHead):
    """Recurrent classifier"""

    num_hops: int = option(1, "views of a text that attentive pooling takes")
    hop_penalty: float = option(0.0, "weight of the loss that keeps these views apart")

    def arguments(self, data: Sequence, dropout: float) -> dict:
        hops = {"num_hops": self.num_hops, "penalty": self.hop_penalty}
        return {**super().arguments(data, dropout), **hops}


@dataclasses.dataclass(frozen=True)
class RNNSpanHead(Head):
    """Recurrent reader"""

    match_ngrams: int = option(
        3,
        "largest n of the features that mark a context's n-grams that are in the question",
        limit=at_least(0),
    )

    def arguments(self, data: Sequence, dropout: float) -> dict:
        return {"match_ngrams": self.match_ngrams, "dropout": dropout}


@dataclasses.dataclass(frozen=True)
class TransformerClassifierHead(ClassifierHead):
    """Classifier with a Transformer"""

    pooling: str = option(
        "mean",
        "pooling of the vectors of a text's tokens",
        choices=("mean", "first", "attention"),
    )

    def preprocessor_arguments(self) -> dict:
        return {"add_start": True} if self.pooling == "first" else {}

    def arguments(self, data: Sequence, dropout: float) -> dict:
        return {**super().arguments(data, dropout), "pooling": self.pooling}

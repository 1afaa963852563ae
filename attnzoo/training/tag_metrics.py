"""Metrics of tags: the share of right ones, and F1 of entities."""

from collections.abc import Sequence
from typing import NamedTuple


class EntityScores(NamedTuple):
    """Precision, recall and F1 of entities, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def tag_accuracy(predictions: Sequence[Sequence], references: Sequence[Sequence]) -> float:
    """Return the share of words with the right tag; a word without a predicted tag is wrong.

    Args:
        predictions: A list of tags for each text, one for each word. Words at the end may lack one.
        references: Likewise, with a tag for each word. At least one word.

    Returns:
        In [0, 1].

    Raises:
        ValueError: If the numbers of texts differ, a text has more tags than words, or there is no
            word.

    Example:
        >>> tag_accuracy([["DET", "VERB"]], [["DET", "NOUN"]])
        0.5
    """
    rows = _rows(predictions, references)
    right = sum(one == other for row in rows for one, other in zip(*row, strict=False))
    return right / sum(len(tags) for _, tags in rows)


def entity_scores(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> EntityScores:
    """Return seqeval's strict scores of entities in BIO tags, over all texts together.

    An entity is `B-TYPE` and the `I-TYPE` that follow; it is right if its words and its type are.
    An `I-` without its beginning is no entity.

    Args:
        predictions: A list of tags for each text: `B-` or `I-` and a type, or `O`. A word at the
            end without one has none.
        references: Likewise, with a tag for each word.

    Raises:
        ImportError: If seqeval is missing.
        ValueError: As in `tag_accuracy`.

    Example:
        >>> entity_scores([["B-PER", "O"]], [["B-PER", "I-PER"]]).f1
        0.0

    References:
        [Tjong Kim Sang and De Meulder, 2003](https://aclanthology.org/W03-0419).
    """
    try:
        from seqeval.metrics import f1_score, precision_score, recall_score
        from seqeval.scheme import IOB2
    except ImportError as error:
        raise ImportError(
            "Scores of entities need seqeval. Install it with: pip install 'attnzoo[text]'"
        ) from error
    rows = _rows(predictions, references)
    found = [[*tags, *["O"] * (len(right) - len(tags))] for tags, right in rows]
    # Strict only with both: seqeval ignores a mode without a scheme, and a scheme without a mode.
    options = {"average": "micro", "mode": "strict", "scheme": IOB2, "zero_division": 0}
    right = [list(tags) for _, tags in rows]
    scores = [score(right, found, **options) for score in (precision_score, recall_score, f1_score)]
    return EntityScores(*map(float, scores))


def are_bio(names: Sequence[str]) -> bool:
    """Return whether tags are of entities: `B-TYPE`, `I-TYPE` and `O`, with a `B-` among them."""
    kinds = {name.partition("-")[0] for name in names if name != "O"}
    return "B" in kinds and kinds <= {"B", "I"} and all("-" in n for n in names if n != "O")


def _rows(predictions, references):
    """Return the pairs of predicted and right tags; raise if they do not fit."""
    predictions, references = list(predictions), list(references)
    if len(predictions) != len(references):
        raise ValueError(
            "There must be as many texts with predicted tags as with right ones. "
            f"Received: {len(predictions)} and {len(references)}"
        )
    for position, (tags, right) in enumerate(zip(predictions, references, strict=True)):
        if len(tags) > len(right):
            raise ValueError(
                "A text must not have more tags than words. "
                f"Received: {len(tags)} tags for {len(right)} words at position {position}"
            )
    if not any(references):
        raise ValueError("There must be at least one word. Received: none")
    return list(zip(predictions, references, strict=True))

"""Metrics of answers to questions, as SQuAD's official scripts compute them."""

import collections
import re
import string
from collections.abc import Sequence

from attnzoo.checks import check_choice

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
VERSIONS = ("1.1", "2.0")


def normalize_answer(text: str) -> str:
    """Return an answer in lower case, without ASCII punctuation, articles and repeated white space.

    Example:
        >>> normalize_answer("The  Panthers' defense.")
        'panthers defense'
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def answer_exact_match(
    predictions: Sequence[str], references: Sequence, *, version: str = "2.0"
) -> float:
    """Return the share of answers that equal a reference, both normalized.

    Args:
        predictions: An answer for each question, "" for no answer. At least one question.
        references: For each question its right answers, a list of strings or a string; an empty
            list if the context has no answer.
        version: Of the official script. `"2.0"` leaves out references without a word, such as
            "The", if there are others; `"1.1"` does not.

    Returns:
        A float in [0, 1]; 1 is best. The official scripts give it times 100.

    Raises:
        TypeError: If a prediction or reference is no string.
        ValueError: If there are no questions, their numbers differ, or the version is unknown.

    Example:
        >>> answer_exact_match(["308 points", ""], [["the 308 points", "308"], []])
        1.0

    References:
        [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250), section 6.1.
    """
    items = _normalized(predictions, references, version)
    return sum(answer in right for answer, right in items) / len(items)


def answer_f1(
    predictions: Sequence[str],
    references: Sequence,
    *,
    version: str = "2.0",
    unit: str = "words",
) -> float:
    """Return the mean overlap of answers with their references, as F1.

        F1 = 2 P R / (P + R), with the precision P and recall R of a prediction's words, counted
             with repetitions; of several references the best counts

    Args:
        predictions, references: As in `answer_exact_match`.
        version: As in `answer_exact_match`; besides, two answers without a word have F1 1 in
            `"2.0"` and 0 in `"1.1"`.
        unit: `"words"` as in the official scripts, or `"characters"`, for languages that do not
            separate words, without blanks.

    Returns:
        A float in [0, 1]; 1 is best. The official scripts give it times 100.

    Raises:
        TypeError: If a prediction or reference is no string.
        ValueError: If there are no questions, their numbers differ, or the version or unit is
            unknown.

    Example:
        >>> answer_f1(["308 points"], [["308", "300 points"]])
        0.6666666666666666

    References:
        [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250), section 6.1.
        [Rajpurkar et al., 2018](https://arxiv.org/abs/1806.03822).
    """
    check_choice(("words", "characters"), unit=unit)
    items = _normalized(predictions, references, version)
    split = str.split if unit == "words" else _characters
    empty = float(version == "2.0")
    best = [max(_f1(split(answer), split(one), empty) for one in right) for answer, right in items]
    return sum(best) / len(best)


def _characters(text):
    return list(text.replace(" ", ""))


def _f1(found, right, empty: float) -> float:
    """Return F1 of two lists; `empty` if both are empty."""
    if not found and not right:
        return empty
    same = sum((collections.Counter(found) & collections.Counter(right)).values())
    return 2 * same / (len(found) + len(right))


def _normalized(predictions, references, version):
    """Return a list of (answer, list of right answers), all normalized; no right answer is ""."""
    check_choice(VERSIONS, version=version)
    for name, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, (str, bytes)):
            raise TypeError(
                f"`{name}` must be a list with an entry for each question. Received: {texts!r}"
            )
    predictions, references = list(predictions), list(references)
    if len(predictions) != len(references) or not predictions:
        raise ValueError(
            "There must be as many predictions as references, and at least one. "
            f"Received: {len(predictions)} predictions, {len(references)} references"
        )
    items = []
    for number, (answer, right) in enumerate(zip(predictions, references, strict=True)):
        right = [right] if isinstance(right, str) else list(right)
        for text in (answer, *right):
            if not isinstance(text, str):
                raise TypeError(f"An answer must be a string. Received: {text!r} at {number}")
        normalized = [normalize_answer(text) for text in right]
        if version == "2.0":
            normalized = [one for one in normalized if one]
        items.append((normalize_answer(answer), normalized or [""]))
    return items

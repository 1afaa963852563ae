"""ROUGE of summaries, by rouge-score, and for any script."""

import re
from collections.abc import Sequence

from attnzoo.training.metrics import pairs_of

# Scripts that put no blanks between words: each character is a token.
_NO_BLANKS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_NO_BLANKS}]|[^\W_{_NO_BLANKS}]+")
KINDS = ("rouge1", "rouge2", "rougeL")
UNICODE = "_unicode"  # The end of a metric's name with the words of `UnicodeTokenizer`.
METRICS = (*KINDS, *(f"{kind}{UNICODE}" for kind in KINDS))


class UnicodeTokenizer:
    """Words of any script, in lower case, for a `rouge_score.rouge_scorer.RougeScorer`.

    A word is a run of letters and digits; each character of Chinese, Japanese, Thai, Lao, Burmese
    and Khmer is one. There is no stemming.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return _TOKEN.findall(text.casefold())


def rouge(
    predictions: Sequence[str],
    references: Sequence,
    *,
    kinds: Sequence[str] = KINDS,
    unicode: bool = False,
) -> dict[str, float]:
    """Return the mean F1 of ROUGE over the items, by rouge-score.

    Args:
        predictions: A string for each item. At least one item.
        references: A string, or a list of strings, for each item; the best one counts.
        kinds: `"rouge1"`, `"rouge2"`, ..., `"rougeL"`.
        unicode: Whether words are those of `UnicodeTokenizer`. Otherwise they are rouge-score's,
            which are comparable with published figures and keep only a to z and 0 to 9: a text in
            another script scores 0 against itself, and "Größe" equals "Grüße".

    Returns:
        A dict from each kind to a number in [0, 1].

    Raises:
        ImportError: If rouge-score is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, a reference is empty, or
            rouge-score knows no such kind.

    Example:
        >>> rouge(["a tool suite"], ["a suite of tools"], kinds=["rouge1"])
        {'rouge1': 0.5714285714285715}

    References:
        [Lin, 2004](https://aclanthology.org/W04-1013).
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise ImportError(
            "`rouge` needs rouge-score. Install it with: pip install 'attnzoo[text]'"
        ) from error
    kinds = list(kinds)
    wrong = [kind for kind in kinds if not re.fullmatch(r"rouge([1-9]|L)", kind)]
    if wrong:
        raise ValueError(f"`kinds` must be among rouge1, rouge2, ..., rougeL. Received: {wrong[0]}")
    items = pairs_of(predictions, references)
    scorer = RougeScorer(kinds, tokenizer=UnicodeTokenizer() if unicode else None)
    totals = dict.fromkeys(kinds, 0.0)
    for prediction, answers in items:
        scores = scorer.score_multi(answers, prediction)
        for kind in kinds:
            totals[kind] += scores[kind].fmeasure
    return {kind: total / len(items) for kind, total in totals.items()}


def rouge_metrics(
    predictions: Sequence[str], references: Sequence, metrics: Sequence[str]
) -> dict[str, float]:
    """Return metrics by name, such as `"rouge1"` and `"rougeL_unicode"`; others are left out."""
    found: dict[str, float] = {}
    for ending, unicode in (("", False), (UNICODE, True)):
        kinds = [kind for kind in KINDS if f"{kind}{ending}" in metrics]
        if kinds:
            scores = rouge(predictions, references, kinds=kinds, unicode=unicode)
            found |= {f"{kind}{ending}": score for kind, score in scores.items()}
    return found

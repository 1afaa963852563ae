"""Metrics of generated text, with one or several references for each item.

All functions take Python strings: `predictions`, a string for each item, and `references`, a string
or a list of correct strings for each item. A prediction is compared with its best matching
reference. Strings are compared code point by code point: case, accents and white space count, and
nothing is normalised. White space is that of ASCII.

If a dictionary lists several pronunciations of a word on several lines, group the lines first, so
that the word is one item: a rate over lines is not a rate over words.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from attnzoo.whitespace import WHITE_SPACE, split_words


class BleuScore(NamedTuple):
    """The result of `bleu`.

    Attributes:
        score: BLEU, from 0 to 100.
        signature: sacrebleu's signature: the settings that two comparable scores must share.
    """

    score: float
    signature: str


def exact_match(predictions: Sequence[str], references: Sequence) -> float:
    """Return the share of items whose prediction equals one of its references.

    Args:
        predictions: A string for each item. At least one item.
        references: A string, or a list of strings, for each item.

    Returns:
        A float in [0, 1]; 1 is best.

    Raises:
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> exact_match(["K AE T", "D AO"], ["K AE T", ["D AO G", "D AA G"]])
        0.5
    """
    pairs = pairs_of(predictions, references)
    return sum(prediction in answers for prediction, answers in pairs) / len(pairs)


def word_error_rate(predictions: Sequence[str], references: Sequence) -> float:
    """Return the share of wrong items, the WER of grapheme-to-phoneme work.

    Each item is one word and its prediction is right or wrong as a whole: this is
    1 - `exact_match`. The word error rate of speech recognition, where an item is a sentence and
    its words are counted, is `token_error_rate`.

    Args:
        predictions: A string for each word. At least one word.
        references: A string, or a list of strings, for each word.

    Returns:
        A float in [0, 1]; 0 is best.

    Raises:
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> word_error_rate(["K AE T", "D AO"], ["K AE T", ["D AO G", "D AA G"]])
        0.5
    """
    pairs = pairs_of(predictions, references)
    return sum(prediction not in answers for prediction, answers in pairs) / len(pairs)


def phoneme_error_rate(predictions: Sequence[str], references: Sequence) -> float:
    """Return the mean over items of the smallest relative edit distance, in symbols.

        PER = mean over items of min over references of distance / reference length

    Symbols, such as phonemes, are separated by white space. The distance is Levenshtein's: the
    smallest number of insertions, deletions and substitutions of symbols.

    Args:
        predictions: A string of symbols for each item. At least one item.
        references: A string of symbols, or a list of such strings, for each item.

    Returns:
        A float, at least 0; 0 is best. Above 1 if predictions are much too long.

    Raises:
        ImportError: If rapidfuzz is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> phoneme_error_rate(["K AE T", "D AO"], ["K AE T", ["D AO G", "D AA G"]])
        0.16666666666666666
    """
    best = _best_edits("phoneme_error_rate", predictions, references, split=split_words)
    return sum(distance / length for distance, length in best) / len(best)


def character_error_rate(predictions: Sequence[str], references: Sequence) -> float:
    """Return the mean over items of the smallest relative edit distance, in characters.

    Like `phoneme_error_rate`, over code points; spaces count as characters.

    Args:
        predictions: A string for each item. At least one item.
        references: A string, or a list of strings, for each item.

    Returns:
        A float, at least 0; 0 is best. Above 1 if predictions are much too long.

    Raises:
        ImportError: If rapidfuzz is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> character_error_rate(["cat", "dg"], ["cat", "door"])
        0.375
    """
    best = _best_edits("character_error_rate", predictions, references, split=str)
    return sum(distance / length for distance, length in best) / len(best)


def token_error_rate(predictions: Sequence[str], references: Sequence) -> float:
    """Return the number of edits over that of reference tokens, the WER of speech recognition.

        rate = sum over items of distance / sum over items of reference length

    Tokens are separated by white space. Long items weigh more than short ones, unlike in
    `phoneme_error_rate`. Of several references, the one with the smallest distance / length counts.

    Args:
        predictions: A sentence for each item. At least one item.
        references: A sentence, or a list of sentences, for each item.

    Returns:
        A float, at least 0; 0 is best. Above 1 if predictions are much too long.

    Raises:
        ImportError: If rapidfuzz is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> token_error_rate(["the cat sat", "a"], ["the cat sits", "no dog"])
        0.6
    """
    best = _best_edits("token_error_rate", predictions, references, split=split_words)
    return sum(distance for distance, _ in best) / sum(length for _, length in best)


def mean_edit_distance(predictions: Sequence[str], references: Sequence) -> float:
    """Return the mean over items of the smallest edit distance, in characters (code points).

    Args:
        predictions: A string for each item. At least one item.
        references: A string, or a list of strings, for each item.

    Returns:
        A float, at least 0; 0 is best.

    Raises:
        ImportError: If rapidfuzz is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> mean_edit_distance(["talo", "taloissa"], ["talo", ["talossa", "talosta"]])
        0.5
    """
    distance = _levenshtein("mean_edit_distance")
    pairs = pairs_of(predictions, references)
    return sum(min(distance(text, answer) for answer in a) for text, a in pairs) / len(pairs)


def bleu(
    predictions: Sequence[str],
    references: Sequence,
    *,
    lowercase: bool = False,
    tokenize: str = "13a",
) -> BleuScore:
    """Return sacrebleu's corpus BLEU on detokenised text.

    Args:
        predictions: A sentence for each item. At least one item.
        references: A sentence, or a list of sentences, for each item.
        lowercase: Whether to ignore case.
        tokenize: sacrebleu's tokenizer: "13a", "intl", "char", "none", ...

    Returns:
        A `BleuScore`: `score` from 0 to 100, where 100 is best, and sacrebleu's `signature`.

    Raises:
        ImportError: If sacrebleu is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, a reference is empty, or sacrebleu
            knows no such tokenizer.

    Example:
        >>> bleu(["the cat sat on the mat"], [["the cat sat on the mat", "a cat sat"]]).score
        100.0
    """
    try:
        import sacrebleu  # noqa: F401
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise ImportError(_MISSING.format("bleu", "sacrebleu")) from error

    known = BLEU.TOKENIZERS
    if tokenize not in known:
        raise ValueError(f"`tokenize` must be one of {list(known)}. Received: tokenize={tokenize}")
    pairs = pairs_of(predictions, references)
    metric = BLEU(lowercase=lowercase, tokenize=tokenize)
    score = metric.corpus_score(*_as_streams(pairs))
    # sacrebleu averages logarithms: clip 100.00000000000004 to the range.
    return BleuScore(min(float(score.score), 100.0), str(metric.get_signature()))


def chrf(predictions: Sequence[str], references: Sequence) -> float:
    """Return sacrebleu's corpus chrF, the F-score of character n-grams.

    It is above 0 for short texts too, for which BLEU, which needs four words in a row, is 0.

    Args:
        predictions: A text for each item. At least one item.
        references: A text, or a list of texts, for each item.

    Returns:
        A float from 0 to 100, where 100 is best.

    Raises:
        ImportError: If sacrebleu is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If there are no items, their numbers differ, or a reference is empty.

    Example:
        >>> chrf(["a red flag"], ["a red flag"])
        100.0

    References:
        [Popović, 2015](https://doi.org/10.18653/v1/W15-3049).
    """
    try:
        from sacrebleu.metrics import CHRF
    except ImportError as error:
        raise ImportError(_MISSING.format("chrf", "sacrebleu")) from error
    score = CHRF().corpus_score(*_as_streams(pairs_of(predictions, references))).score
    return min(float(score), 100.0)


def _as_streams(pairs) -> tuple[list[str], list[list[Any]]]:
    """Return the predictions, and the n-th references of all, as sacrebleu takes them."""
    count = max(len(answers) for _, answers in pairs)
    # Where there are fewer references, sacrebleu takes None.
    streams = [[a[n] if n < len(a) else None for _, a in pairs] for n in range(count)]
    return [prediction for prediction, _ in pairs], streams


METRICS = {
    "exact_match": exact_match,
    "word_error_rate": word_error_rate,
    "phoneme_error_rate": phoneme_error_rate,
    "character_error_rate": character_error_rate,
    "token_error_rate": token_error_rate,
    "mean_edit_distance": mean_edit_distance,
    "bleu": lambda predictions, references: bleu(predictions, references).score,
    "bleu_lowercase": lambda predictions, references: (
        bleu(predictions, references, lowercase=True).score
    ),
    "chrf": chrf,
}


def evaluate_predictions(
    predictions: Sequence[str],
    references: Sequence,
    *,
    metrics: Sequence[str] = ("exact_match", "word_error_rate", "phoneme_error_rate"),
) -> dict[str, float]:
    """Return several metrics of the same predictions.

    Args:
        predictions: A string for each item. At least one item.
        references: A string, or a list of strings, for each item.
        metrics: Names: "exact_match", "word_error_rate", "phoneme_error_rate",
            "character_error_rate", "token_error_rate", "mean_edit_distance", "bleu" (its score,
            from 0 to 100), "bleu_lowercase" (the same without regard to case), "chrf".

    Returns:
        A dict from the name of each metric to its value, a float, in the order of `metrics`.

    Raises:
        ImportError: If rapidfuzz, or for "bleu" and "chrf" sacrebleu, is missing.
        TypeError: If predictions or references are not strings.
        ValueError: If a metric is unknown, there are no items, their numbers differ, or a reference
            is empty.

    Example:
        >>> evaluate_predictions(["K AE T"], ["K AE T"], metrics=["exact_match"])
        {'exact_match': 1.0}
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in METRICS:
            raise ValueError(f"`metrics` must be among {list(METRICS)}. Received: {name!r}")
    return {name: METRICS[name](predictions, references) for name in names}


_MISSING = "`{}` needs {}. Install it with: pip install 'attnzoo[text]'"


def _levenshtein(function):
    try:
        import rapidfuzz  # noqa: F401
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise ImportError(_MISSING.format(function, "rapidfuzz")) from error
    return Levenshtein.distance


def _best_edits(function, predictions, references, *, split):
    """Return for each item (distance, length) of the reference with the smallest quotient."""
    distance = _levenshtein(function)
    best = []
    for prediction, answers in pairs_of(predictions, references):
        symbols = split(prediction)
        edits = [(distance(symbols, split(answer)), len(split(answer))) for answer in answers]
        best.append(min(edits, key=lambda edit: (edit[0] / edit[1], edit[0])))
    return best


def pairs_of(predictions, references):
    """Validate the items, and return a list of (prediction, list of references)."""
    for name, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, (str, bytes)):
            raise TypeError(
                f"`{name}` must be a list with an entry for each item. Received: {texts!r}"
            )
    predictions, references = list(predictions), list(references)
    if len(predictions) != len(references):
        raise ValueError(
            "`predictions` and `references` must be of the same length. "
            f"Received: {len(predictions)} predictions and {len(references)} references"
        )
    if not predictions:
        raise ValueError("`predictions` must hold at least 1 item. Received: predictions=[]")
    pairs = []
    for number, (prediction, answers) in enumerate(zip(predictions, references, strict=True)):
        answers = [answers] if isinstance(answers, (str, bytes)) else list(answers)
        if not isinstance(prediction, str):
            raise TypeError(f"`predictions[{number}]` must be a string. Received: {prediction!r}")
        if not answers:
            raise ValueError(f"`references[{number}]` must hold at least 1 string. Received: []")
        for answer in answers:
            if not isinstance(answer, str):
                raise TypeError(
                    f"`references[{number}]` must be a string or a list of strings. "
                    f"Received: {answer!r}"
                )
            if not answer.strip(WHITE_SPACE):
                raise ValueError(f"`references[{number}]` must not be empty. Received: {answer!r}")
        pairs.append((prediction, answers))
    return pairs

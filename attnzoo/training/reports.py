"""Predictions beside their references, as a plain-text table to read in a terminal."""

import unicodedata
from collections.abc import Sequence

RIGHT, WRONG = "✓", "✗"
HEADER = ("source", "prediction", "reference")


def format_predictions(
    words: Sequence[str],
    predictions: Sequence[str],
    references: Sequence,
    *,
    limit: int | None = None,
    width: int = 48,
) -> str:
    """Return sources, predictions and references as an aligned table with marks for correctness.

    A prediction is right (✓) if it equals one of its references, which are separated by " | ", and
    wrong (✗) if not. Long cells are wrapped. The last line counts the right predictions among all
    items, shown or not. Columns are aligned by the width of characters in a terminal: combining
    accents take no column, East Asian wide characters take two.

    Args:
        words: The source of each item: a word or a sentence.
        predictions: A string for each item.
        references: A string, or a list of strings, for each item.
        limit: Number of items to show. At least 1; all by default.
        width: Width of a text column, in characters of a terminal. At least 8.

    Returns:
        Lines joined by newlines, without a newline at the end.

    Raises:
        ValueError: If the numbers of words, predictions and references differ or are 0, or `limit`
            or `width` is too small.

    Example:
        >>> print(format_predictions(["cat", "dog"], ["K AE T", "D AO"], ["K AE T", "D AO G"]))
           source  prediction  reference
        ✓  cat     K AE T      K AE T
        ✗  dog     D AO        D AO G
        1 of 2 right (50.0 %)
    """
    words, predictions, references = list(words), list(predictions), list(references)
    if not len(words) == len(predictions) == len(references):
        raise ValueError(
            "`words`, `predictions` and `references` must be of the same length. Received: "
            f"{len(words)} words, {len(predictions)} predictions and {len(references)} references"
        )
    if not words:
        raise ValueError("`words` must hold at least 1 item. Received: words=[]")
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` must be at least 1. Received: limit={limit}")
    if width < 8:
        raise ValueError(f"`width` must be at least 8. Received: width={width}")

    answers = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
    marks = [p in a for p, a in zip(predictions, answers, strict=True)]
    rows = [(" ", [[name] for name in HEADER])]
    for word, prediction, answer, right in list(
        zip(words, predictions, answers, marks, strict=True)
    )[:limit]:
        cells = [_wrap(_printable(text), width) for text in (word, prediction, " | ".join(answer))]
        rows.append((RIGHT if right else WRONG, cells))

    columns = range(len(HEADER))
    widths = [max(_places(line) for _, cells in rows for line in cells[c]) for c in columns]
    lines = []
    for mark, cells in rows:
        for n in range(max(len(cell) for cell in cells)):
            parts = [cells[c][n] if n < len(cells[c]) else "" for c in columns]
            padded = [part + " " * (widths[c] - _places(part)) for c, part in enumerate(parts)]
            lines.append("  ".join([mark if n == 0 else " ", *padded]).rstrip())
    hidden = len(words) - (len(rows) - 1)
    if hidden:
        lines.append(f"   ... and {hidden} more")
    lines.append(f"{sum(marks)} of {len(marks)} right ({100 * sum(marks) / len(marks):.1f} %)")
    return "\n".join(lines)


def _printable(text):
    """Return a text with tabs, newlines and similar characters escaped."""
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) == "Cc" else c for c in str(text))


def _places(text):
    """Return the width of `text` in a terminal, in columns."""
    places = 0
    for character in text:
        if unicodedata.category(character) not in ("Mn", "Me", "Cf"):
            places += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return places


def _wrap(text, width):
    """Return lines of at most `width` columns, broken at spaces, or within longer words."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _places(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if _places(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines

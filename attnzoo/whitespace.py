"""White space, defined once: what separates symbols, words, labels and the tokens of error rates.

It is that of ASCII, as in TensorFlow's `tf.strings.split`, so that Python and a graph agree. Any
other space, such as a no-break or an ideographic one, is part of a word.
"""

import re

WHITE_SPACE = " \t\n\v\f\r"

_WORD = re.compile(f"[^{WHITE_SPACE}]+")


def split_words(text: str) -> list[str]:
    """The words of a text.

    Example:
        >>> split_words(" one two\\u00a0three\\n")
        ['one', 'two\\xa0three']
    """
    return _WORD.findall(text)


def find_spans(text: str) -> list[tuple[int, int]]:
    """The first character of each word of a text, and the one after its last."""
    return [match.span() for match in _WORD.finditer(text)]

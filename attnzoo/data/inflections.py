"""Tables of inflected words: lemma, form and tags, in the column order of any shared task."""

import itertools
import os
import re
from collections.abc import Iterator

from attnzoo.data.lines import existing, number_filled_lines

# Column numbers of (lemma, form, tags).
_FORM_SECOND, _TAGS_SECOND = (0, 1, 2), (0, 2, 1)
_SAMPLE = 1000  # Number of lines that determine the order of columns.
# "N;SG" and "V;PRS;NOM(3,SG)", "pos=N,num=SG", or one tag in capital letters.
_TAGS = re.compile(r"\S*[;=]\S*|[A-Z][A-Z0-9.+/_()-]*")
_SEPARATED = re.compile(r"\w[;=]\w")  # Matches several tags, and no lemma.


def read_inflections(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Read lemma, form and tags of a SIGMORPHON or UniMorph file as pairs of symbols.

    The source has the characters of the lemma, then the tags, each in angle brackets to tell it
    from a character; the target has the characters of the form. A space is `"▁"`. Both are for a
    `SymbolTokenizer`.

    The columns are lemma, form, tags (SIGMORPHON 2017 to 2022, UniMorph) or lemma, tags, form
    (SIGMORPHON 2016 and 2023). The first lines determine the order: tags are separated by `;`, or
    are `name=value` separated by `,` as in 2016, or are capital letters. If neither column looks
    like tags, the first order is taken. If there are only two columns, lemma and tags, as in files
    that hide the forms, the target is empty. Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`, with TABs between columns;
            `"-"` is standard input.

    Returns:
        An iterator over (source, target).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if a line lacks a column, has form and tags in another order than
            the rest, or is not UTF-8, or if the file is empty or broken.

    Example:
        >>> next(attnzoo.data.read_inflections("turkish.tsv"))
        ('e v <N> <LOC> <SG>', 'e v d e')

    References:
        [Cotterell et al., 2017](https://arxiv.org/abs/1706.09031).
    """
    return _read(existing(path, "path"))


def inflection_source(lemma: str, tags: str) -> str:
    """Return the source of one pair of `read_inflections`.

    Args:
        lemma: The lemma.
        tags: Tags, separated by `;`, or as `name=value` by `,`.

    Example:
        >>> attnzoo.data.inflection_source("ev", "N;LOC;SG")
        'e v <N> <LOC> <SG>'
    """
    return " ".join([_characters(lemma), *(f"<{tag}>" for tag in _split_tags(tags))])


def _read(path):
    rows = ((number, line.split("\t")) for number, line in number_filled_lines(path))
    sample = list(itertools.islice(rows, _SAMPLE))
    order = _order([columns for _, columns in sample])
    for number, columns in itertools.chain(sample, rows):
        lemma, form, tags = _arrange(columns, order, f"{path}, line {number}")
        yield inflection_source(lemma, tags), _characters(form)


def _order(rows):
    """Return the column numbers of (lemma, form, tags) that fit most rows of three columns."""
    rows = [columns for columns in rows if len(columns) > 2]
    second, third = (sum(map(_looks_like_tags, column)) for column in _columns(rows, 1, 2))
    return _TAGS_SECOND if second > third else _FORM_SECOND


def _columns(rows, *places):
    return [[columns[place] for columns in rows] for place in places]


def _arrange(columns, order, where: str):
    """Return (lemma, form, tags) of one line; a hidden form is empty."""
    if len(columns) == 2 and _looks_like_tags(columns[1]):
        return columns[0], "", columns[1]
    if len(columns) < 3:
        raise ValueError(
            f"A line lacks a column: {where}. Received: {len(columns)} columns in "
            f"{chr(9).join(columns)!r}"
        )
    lemma, form, tags = (columns[place] for place in order)
    if not _looks_like_tags(tags) and (_looks_like_tags(form) or _SEPARATED.search(lemma)):
        names = [("lemma", "form", "tags")[order.index(place)] for place in range(3)]
        raise ValueError(
            f"The columns look exchanged: {where}. They are taken for {', '.join(names)}. "
            f"Received: {columns[:3]}"
        )
    return lemma, form, tags


def _looks_like_tags(text: str) -> bool:
    return _TAGS.fullmatch(text.strip()) is not None


def _split_tags(tags: str) -> list[str]:
    # "pos=N,case=NOM" of 2016. Other files have commas only within parentheses: "NOM(1,SG)".
    return tags.split("," if "=" in tags and ";" not in tags else ";")


def _characters(text: str) -> str:
    return " ".join(text.replace(" ", "▁"))

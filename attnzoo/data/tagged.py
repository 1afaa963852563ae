"""Readers of texts with a tag for each word."""

import os
from collections.abc import Iterator

from attnzoo.data.lines import existing, number_filled_lines, number_lines
from attnzoo.whitespace import split_words

# The columns of CoNLL-U that have a tag, counted from 0.
_COLUMNS = {"upos": 3, "xpos": 4, "deprel": 7}
_CONLL = (".conll", ".conll2002", ".conll2003", ".bio", ".iob", ".iob2")


def read_tagged(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Read texts with tags, in the form that the name of the file tells.

    - `.conllu`: see `read_conllu`, with universal parts of speech;
    - `.conll`, `.bio`, `.iob`, `.iob2`: see `read_conll`;
    - any other: a line is the words of a text, TAB, and as many tags, with blanks between.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.

    Returns:
        An iterator over (text, tags), both strings with white space between words and between tags.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, with file and line: if a text has more or fewer tags than words,
            a line lacks a column or is not UTF-8, or the file is empty or broken.

    Example:
        >>> next(attnzoo.data.read_tagged("train.tsv.gz"))
        ('the film ends', 'DET NOUN VERB')
    """
    name = os.fspath(path).lower().removesuffix(".gz")
    if name.endswith(".conllu"):
        return read_conllu(path)
    if name.endswith(_CONLL):
        return read_conll(path)
    return _read_lines(existing(path, "path"))


def read_conll(
    path: str | os.PathLike, *, word_column: int = 0, tag_column: int = -1
) -> Iterator[tuple[str, str]]:
    """Read texts of a word a line, with a blank line after each text.

    A line has columns with white space between. Lines with `-DOCSTART-` are left out.

    Args:
        path: As in `read_tagged`.
        word_column: Place of the word, counted from 0, or from the end if negative.
        tag_column: Place of the tag, likewise.

    Returns, Raises: As in `read_tagged`.

    Example:
        >>> next(attnzoo.data.read_conll("train.conll"))
        ('Ann lives in Rome', 'B-PER O O B-LOC')
    """
    file = existing(path, "path")

    def columns(number, line):
        found = split_words(line)
        if found[0] == "-DOCSTART-":
            return None
        return _columns(file, number, line, found, word_column, tag_column)

    return _read_blocks(file, columns)


def read_conllu(path: str | os.PathLike, *, column: str = "upos") -> Iterator[tuple[str, str]]:
    """Read texts of a treebank in CoNLL-U.

    Comments, ranges of words (`1-2`) and empty words (`1.1`) are left out. White space within a
    word becomes `_`.

    Args:
        path: As in `read_tagged`.
        column: The tags: `"upos"`, `"xpos"` or `"deprel"`.

    Returns, Raises: As in `read_tagged`; also ValueError for another column.

    Example:
        >>> next(attnzoo.data.read_conllu("en_ewt-ud-train.conllu"))
        ('the film ends', 'DET NOUN VERB')

    References:
        [The CoNLL-U format](https://universaldependencies.org/format.html).
    """
    if column not in _COLUMNS:
        raise ValueError(f"`column` must be one of {list(_COLUMNS)}. Received: column={column!r}")
    file = existing(path, "path")

    def columns(number, line):
        found = line.split("\t")
        if line.startswith("#") or not found[0].isdigit() and found[0].strip("0123456789.-") == "":
            return None
        word, tag = _columns(file, number, line, found, 1, _COLUMNS[column])
        return "_".join(split_words(word)), tag

    return _read_blocks(file, columns)


def _columns(file, number, line, found, word_column, tag_column):
    """Return the word and the tag of a line's columns."""
    try:
        if len(found) > 1:
            return found[word_column], found[tag_column]
    except IndexError:
        pass
    raise ValueError(
        f"A line must have a word and its tag: {file}, line {number}. Received: {line!r}"
    )


def _read_blocks(file, columns):
    """Yield the texts of a file with a word a line, by a function of a line's number and text."""
    words: list[str] = []
    tags: list[str] = []
    found = False
    for number, line in number_lines(file):
        pair = columns(number, line) if line.strip() else None
        if pair is not None:
            words.append(pair[0])
            tags.append(pair[1])
        elif words and not line.strip():
            found = True
            yield " ".join(words), " ".join(tags)
            words, tags = [], []
    if words:
        yield " ".join(words), " ".join(tags)
    elif not found:
        raise ValueError(f"A file must hold a word with its tag. Received: {file}, without any")


def _read_lines(file):
    for number, line in number_filled_lines(file):
        left, separator, right = line.partition("\t")
        words, tags = split_words(left), split_words(right)
        if not separator or len(words) != len(tags) or not words:
            raise ValueError(
                "A line must have words, TAB, and as many tags; a file with a word a line must be "
                f"named .conll or .conllu: {file}, line {number}. "
                f"Received: {len(words)} words, {len(tags)} tags in {line[:60]!r}"
            )
        yield " ".join(words), " ".join(tags)

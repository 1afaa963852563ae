"""Lines of a text file, plain or compressed, or of standard input, for all readers."""

import contextlib
import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

STANDARD_INPUT = "-"


class _StandardInput:
    def __str__(self):
        return "standard input"


def read_lines(path: str | os.PathLike) -> Iterator[str]:
    """Read all lines, blank ones too, without their line ends.

    A line ends at a line feed, with or without a carriage return before it. A carriage return
    within a line, or another Unicode line separator, ends no line. A byte order mark is dropped.

    Args:
        path: A UTF-8 file, gzip-compressed if its name ends in `.gz`; `"-"` is standard input.

    Returns:
        An iterator over strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: While reading, with file and line: if the file is empty, a line is not UTF-8, or
            a compressed file is broken or cut short.

    Example:
        >>> for line in attnzoo.data.read_lines("sentences.txt.gz"):
        ...     print(line)
    """
    file = existing(path, "path")

    def lines():
        is_empty = True
        for _, line in number_lines(file):
            is_empty = False
            yield line
        if is_empty:
            raise ValueError(_empty(file, 0))

    return lines()


def number_lines(path: Path | _StandardInput) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of a file from `existing`."""
    for number, line in enumerate(_raw_lines(path), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"A line is not UTF-8: {path}, line {number}. Received: {line[:60]!r}"
            ) from error
        if "\0" in text:
            raise ValueError(
                f"A line holds a null character, as in UTF-16: {path}, line {number}. "
                f"Received: {line[:60]!r}"
            )
        yield number, text.rstrip("\r\n")


def number_filled_lines(path: Path | _StandardInput) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of all lines that are not blank; raise if there are none."""
    number, any_filled = 0, False
    for number, line in number_lines(path):
        if line.strip():
            any_filled = True
            yield number, line
    if not any_filled:
        raise ValueError(_empty(path, number))


def existing(path: str | os.PathLike, name: str) -> Path | _StandardInput:
    """Return a file as a `Path`, or the standard input; raise if there is no such file."""
    if os.fspath(path) == STANDARD_INPUT:
        return _StandardInput()
    path = Path(path)
    if path.is_dir() or not path.exists():  # A named pipe is allowed.
        raise FileNotFoundError(f"`{name}` must be a file that exists. Received: {name}={path}")
    return path


def _raw_lines(path):
    number = 0
    try:
        with _open(path) as file:
            for line in file:
                number += 1
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"A compressed file must be whole: {path}, line {number + 1}. Received: {error}"
        ) from error


def _open(path):
    if isinstance(path, _StandardInput):
        # A stream that replaces standard input may hold text and have no buffer of bytes.
        binary = getattr(sys.stdin, "buffer", None)
        return contextlib.nullcontext(binary or (line.encode("utf-8") for line in sys.stdin))
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _empty(path, number: int) -> str:
    received = f"{number} blank lines" if number else "an empty file"
    return f"A file must hold a line of text: {path}, line {number + 1}. Received: {received}"

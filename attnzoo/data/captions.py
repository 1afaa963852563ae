"""Readers of pictures with captions: a folder or an NPZ file, beside a TSV file."""

import os
from pathlib import Path

import numpy as np

from attnzoo.data.datasets import read_tsv


def read_captions(
    images: str | os.PathLike, captions: str | os.PathLike, *, column: int = 1
) -> list[tuple]:
    """Read pictures and their captions.

    Args:
        images: A folder of pictures, which the TSV file names in its first column; or an NPZ file
            with one array of all pictures, [n, H, W, C] or [n, H, W], one for each line of the TSV
            file, in its order.
        captions: A UTF-8 file with TABs between columns, gzip-compressed if its name ends in
            `.gz`. Blank lines are skipped.
        column: Place of the captions, counted from 0.

    Returns:
        A list of pairs: a picture, as its path or an array [H, W, C], and its caption.

    Raises:
        FileNotFoundError: If a file is missing, also a picture.
        ValueError: If a line lacks a column, the TSV file is empty or broken, `column` is negative,
            the NPZ file has not exactly one array, or not as many pictures as there are lines.

    Example:
        >>> pairs = attnzoo.data.read_captions("train.npz", "train.tsv.gz", column=1)
    """
    lines = list(read_tsv(captions, source_column=0, target_column=column))
    place = Path(images)
    if place.is_dir():
        return [(str(_existing(place / name)), caption) for name, caption in lines]
    arrays = _load(_existing(place))
    if len(arrays) != len(lines):
        raise ValueError(
            "There must be as many pictures as lines with captions. "
            f"Received: {len(arrays)} pictures in {images}, {len(lines)} lines in {captions}"
        )
    return list(zip(arrays, (caption for _, caption in lines), strict=True))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"There must be a file at the path. Received: {path}")
    return path


def _load(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, AttributeError) as error:
        raise ValueError(
            f"Pictures must be in a folder or an NPZ file. Received: {path}"
        ) from error
    if len(arrays) != 1:
        raise ValueError(
            f"An NPZ file of pictures must have one array. Received: {sorted(arrays)} in {path}"
        )
    return next(iter(arrays.values()))

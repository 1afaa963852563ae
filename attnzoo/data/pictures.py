"""Readers of labelled pictures: IDX files, as MNIST has them, and a folder for each class."""

import gzip
import os
import pathlib
import struct

import numpy as np

# The types of numbers in IDX files, big-endian, by their byte.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file, plain or .gz: the format of MNIST and Fashion-MNIST.

    Args:
        path: The file, such as `train-images-idx3-ubyte.gz`.

    Returns:
        An array of the shape and the type in the file: pictures uint8 [N, H, W], or labels uint8
        [N].

    Raises:
        ValueError: If the file is no IDX file, or has fewer or more numbers than its header says.
    """
    path = pathlib.Path(path)
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"An IDX file must begin with its header. Received: {path}")
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    dtype = np.dtype(_TYPES[data[2]])
    expected = int(np.prod(shape, dtype="int64")) * dtype.itemsize
    found = len(data) - 4 - 4 * rank
    if found != expected:
        raise ValueError(
            f"An IDX file of shape {shape} must have {expected} bytes of numbers. "
            f"Received: {path}, which has {found}"
        )
    array = np.frombuffer(data, dtype, offset=4 + 4 * rank).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def read_image_folder(folder: str | os.PathLike) -> tuple[list[str], list[str]]:
    """Find the pictures in a folder that has a folder for each class.

    Args:
        folder: Contains folders with the names of the classes, which contain pictures (.png, .jpg,
            .jpeg, .bmp, .gif, .webp).

    Returns:
        The paths of the pictures, sorted, and the class of each.

    Raises:
        ValueError: If there is no such picture.
    """
    folder = pathlib.Path(folder)
    paths = [one for one in sorted(folder.glob("*/*")) if one.suffix.lower() in _SUFFIXES]
    if not paths:
        raise ValueError(
            f"The folder must contain folders of pictures, one for each class. Received: {folder}"
        )
    return [str(path) for path in paths], [path.parent.name for path in paths]

"""Arrays of the reference implementations, where they are at hand."""

import os
import pathlib

import numpy as np
import pytest

FOLDER = os.environ.get("ATTNZOO_PARITY")


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of a case, or a skipped test."""
    if FOLDER is None:
        pytest.skip("ATTNZOO_PARITY must name the folder of the arrays")
    path = pathlib.Path(FOLDER) / "vision" / f"{name}.npz"
    with np.load(path) as arrays:
        names = [name for name in arrays.files if arrays[name].dtype.kind == "f"]
        return {name: arrays[name].astype("float32") for name in names}


def channels_last(array):
    """A map [B, C, H, W] of torch as [B, H, W, C]."""
    return array.transpose(0, 2, 3, 1)


def matrix(kernel):
    """The kernel [out, in, 1, 1] of torch as [in, out]."""
    return kernel[:, :, 0, 0].T

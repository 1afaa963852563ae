import gzip
import struct

import numpy as np
import pytest

from attnzoo.data import read_idx, read_image_folder

pytestmark = pytest.mark.backend_free


def idx(array, kind=0x08):
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_pictures_and_labels_are_read(tmp_path, pack):
    images = np.arange(30, dtype="uint8").reshape(2, 3, 5)
    (tmp_path / "images").write_bytes(pack(idx(images)))
    found = read_idx(tmp_path / "images")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, images)
    numbers = np.float32([1.5, -2.0])
    (tmp_path / "numbers").write_bytes(pack(idx(numbers, 0x0D)))
    np.testing.assert_array_equal(read_idx(tmp_path / "numbers"), numbers)


def test_what_is_no_idx_file_is_refused(tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"PNG and more", b"\0\0\x08\x03\0\0"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="begin with its header. Received: .*file"):
            read_idx(path)
    path.write_bytes(idx(np.arange(6, dtype="uint8"))[:-1])
    with pytest.raises(ValueError, match=r"shape \(6,\) must have 6 bytes.*file, which has 5"):
        read_idx(path)


def test_folders_of_pictures_are_classes(tmp_path):
    for name in ("dress/b.png", "coat/a.JPG", "coat/notes.txt", "lone.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths, labels = read_image_folder(tmp_path)
    assert [path.rsplit("/", 1)[1] for path in paths] == ["a.JPG", "b.png"]
    assert labels == ["coat", "dress"]
    with pytest.raises(ValueError, match="one for each class. Received: .*dress"):
        read_image_folder(tmp_path / "dress")

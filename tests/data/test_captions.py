"""Pictures with captions: from files, and in batches."""

import numpy as np
import pytest

from attnzoo.data import CaptionBatches, read_captions
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def preprocessor():
    return tiny.make_captioner().preprocessor


def write(folder, lines, images=None):
    (folder / "captions.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if images is not None:
        np.savez(folder / "images.npz", images=images)
    return folder / "images.npz", folder / "captions.tsv"


def test_an_npz_file_has_a_picture_for_each_line(tmp_path):
    images = tiny.make_images(2)
    files = write(tmp_path, ["1F3F3\tflag\tFahne", "1F319\tmoon\tMond"], images)
    pairs = read_captions(*files, column=2)
    assert [caption for _, caption in pairs] == ["Fahne", "Mond"]
    np.testing.assert_array_equal([image for image, _ in pairs], images)


def test_a_folder_has_the_files_that_the_lines_name(tmp_path):
    (tmp_path / "flag.png").write_bytes(b"")
    _, captions = write(tmp_path, ["flag.png\ta flag"])
    assert read_captions(tmp_path, captions) == [(str(tmp_path / "flag.png"), "a flag")]
    _, captions = write(tmp_path, ["moon.png\tthe moon"])
    with pytest.raises(FileNotFoundError, match="There must be a file .* moon.png|moon.png"):
        read_captions(tmp_path, captions)


def test_files_that_do_not_fit_are_refused(tmp_path):
    images, captions = write(tmp_path, ["1\tflag"], tiny.make_images(2))
    with pytest.raises(ValueError, match="Received: 2 pictures in .*, 1 lines in "):
        read_captions(images, captions)
    np.savez(images, images=tiny.make_images(1), others=tiny.make_images(1))
    with pytest.raises(ValueError, match=r"must have one array. Received: \['images', 'others'\]"):
        read_captions(images, captions)
    with pytest.raises(ValueError, match="Pictures must be in a folder or an NPZ file. Received: "):
        read_captions(captions, captions)


def test_every_pair_comes_once_and_copies_have_no_weight(preprocessor):
    pairs = list(zip(tiny.make_images(), tiny.CAPTIONS, strict=True))
    batches = CaptionBatches(pairs, preprocessor, batch_size=4, num_buckets=2, seed=3)
    packed, labels, weights = preprocessor(tiny.make_images(), tiny.CAPTIONS)
    seen = []
    for n in range(len(batches)):
        x, y, weight = batches[n]
        assert x["images"].shape == (4, *tiny.IMAGE_SHAPE) and x["images"].dtype == np.float32
        for row in range(4):
            (own,) = np.flatnonzero((packed["images"] == x["images"][row]).all(axis=(1, 2, 3)))
            length = y.shape[1]
            np.testing.assert_array_equal(y[row], labels[own, :length])
            ids = packed["decoder_token_ids"][own, :length]
            np.testing.assert_array_equal(
                x["decoder_token_ids"][row][weights[own, :length] > 0],
                ids[weights[own, :length] > 0],
            )
            if weight[row].any():
                seen.append(own)
                np.testing.assert_array_equal(weight[row], weights[own, :length])
    assert sorted(seen) == list(range(6))
    assert 0.0 <= batches.padding_fraction < 1.0
    again = CaptionBatches(pairs, preprocessor, batch_size=4, num_buckets=2, seed=3)
    np.testing.assert_array_equal(again[0][0]["images"], batches[0][0]["images"])


def test_captions_that_cannot_be_are_refused(preprocessor):
    image = tiny.make_images(1)[0]
    with pytest.raises(ValueError, match="Targets must be strings, one or more. Received: 3"):
        CaptionBatches([(image, 3)], preprocessor)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1. Received: batch_size=0"):
        CaptionBatches([(image, "a flag")], preprocessor, batch_size=0)
    with pytest.warns(UserWarning, match="1 of 1 targets have more than 7 tokens"):
        batches = CaptionBatches([(image, "a flag " * 7)], preprocessor)
    assert batches[0][1].shape[1] == tiny.T
    preprocessor.truncate = "error"
    try:
        with pytest.raises(ValueError, match="A target must have at most 7 tokens"):
            CaptionBatches([(image, "a flag " * 7)], preprocessor)
    finally:
        preprocessor.truncate = "warn"

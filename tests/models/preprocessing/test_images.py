import numpy as np
import pytest

from attnzoo.models.preprocessing.images import (
    is_one_image,
    read_images,
    resize_image,
    to_pillow,
    to_unit_range,
)

pytestmark = pytest.mark.backend_free

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")


def test_a_file_a_picture_and_an_array_are_the_same_image(tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "colours.png"
    to_pillow(COLOURS).save(path)
    for one in (path, str(path), to_pillow(COLOURS), COLOURS, COLOURS[None], [path]):
        (image,) = read_images(one)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, COLOURS)


def test_brightness_is_that_of_pillow():
    pytest.importorskip("PIL")
    (ours,) = read_images(COLOURS, channels=1)
    expected = np.asarray(to_pillow(COLOURS).convert("L"))[..., None]
    assert ours.shape == (5, 7, 1)
    assert np.abs(ours.astype(int) - expected).max() <= 1
    (floats,) = read_images(COLOURS / 255.0, channels=1)
    np.testing.assert_allclose(floats, (COLOURS / 255.0) @ [[0.299], [0.587], [0.114]], atol=1e-6)


def test_a_file_of_a_phone_stands_upright(tmp_path):
    image = pytest.importorskip("PIL.Image")
    exif = image.Exif()
    exif[0x0112] = 6  # Turned by 90 degrees.
    to_pillow(COLOURS).save(tmp_path / "turned.png", exif=exif)
    (found,) = read_images(tmp_path / "turned.png")
    np.testing.assert_array_equal(found, np.rot90(COLOURS, -1))


def test_grey_becomes_three_equal_channels_and_alpha_is_left_out():
    (image,) = read_images(COLOURS[..., 0])
    np.testing.assert_array_equal(image, np.repeat(COLOURS[..., :1], 3, axis=-1))
    with_alpha = np.concatenate([COLOURS, COLOURS[..., :1]], axis=-1)
    np.testing.assert_array_equal(read_images(with_alpha)[0], COLOURS)


def test_rank_and_last_axis_tell_one_image_from_several():
    assert is_one_image("a.png") and is_one_image(COLOURS) and is_one_image(COLOURS[..., 0])
    assert not is_one_image(COLOURS[None]) and not is_one_image([COLOURS])
    assert not is_one_image(np.zeros((5, 28, 28)))
    assert [one.shape for one in read_images(np.zeros((2, 5, 7)))] == [(5, 7, 3)] * 2


def test_resizing_is_that_of_pillow_and_keeps_the_range():
    pytest.importorskip("PIL")
    expected = np.asarray(to_pillow(COLOURS).resize((4, 3), 3))  # 3 is bicubic.
    np.testing.assert_array_equal(resize_image(COLOURS, 3, 4), expected)
    assert resize_image(COLOURS, 5, 7) is COLOURS
    edge = np.zeros((8, 8, 1), "float32")
    edge[:, 4:] = 1.0
    larger = resize_image(edge, 24, 24)
    assert larger.dtype == np.float32 and larger.min() >= 0.0 and larger.max() <= 1.0


def test_the_unit_range_is_float32():
    found = to_unit_range(COLOURS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, COLOURS / 255.0, atol=1e-7)
    np.testing.assert_array_equal(np.asarray(to_pillow(found)), COLOURS)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one image. Received: none"),
        (5, "must be in a list or an array, one or more. Received: a value of type int"),
        ([np.zeros((2, 3, 5))], r"Received: shape \(2, 3, 5\), dtype float64 at position 0"),
        ([np.zeros((2, 3), "int64")], "of dtype uint8 or float. Received: shape"),
        ([COLOURS, COLOURS / 2.0], r"in \[0, 1\].* Received: values in \[.*\] at position 1"),
        ([np.full((2, 3), np.nan)], r"Received: values in \[nan, nan\] at position 0"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        read_images(images)


def test_a_file_that_is_no_image_is_refused(tmp_path):
    image = pytest.importorskip("PIL.Image")
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for path in (text, tmp_path / "missing.png"):
        with pytest.raises(ValueError, match=rf"that Pillow can read: .* Received: .*{path.name}"):
            read_images(path)
    deep = image.fromarray(np.zeros((2, 3), "uint16"))
    with pytest.raises(ValueError, match="8 bits a channel.* Received: .* 'I;16'"):
        read_images(deep)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"`channels` must be one of \(1, 3\). Received: .*=4"):
        read_images(COLOURS, channels=4)

"""Pictures from files, Pillow or arrays, as arrays [H, W, C] of one kind."""

import os

import numpy as np

from attnzoo.checks import check_choice
from attnzoo.models.preprocessing.input_checks import is_dataset
from attnzoo.models.preprocessing.packing import need_some

# Red, green and blue in the brightness of ITU-R BT.601, as in Pillow's mode "L".
_LUMA = (0.299, 0.587, 0.114)
_MODES = {1: "L", 3: "RGB"}


def is_one_image(images) -> bool:
    """Return whether a value is a single picture: a path, a picture of Pillow, or one array.

    An array of rank 2 is a picture without colours, [H, W]. One of rank 3 is a picture [H, W, C] if
    its last axis is 1, 3 or 4, and else pictures [B, H, W].
    """
    if isinstance(images, (str, os.PathLike)) or _is_pillow(images):
        return True
    shape = getattr(images, "shape", None)
    return shape is not None and (
        len(shape) == 2 or (len(shape) == 3 and int(shape[-1]) in (1, 3, 4))
    )


def read_images(images, *, channels: int = 3) -> list[np.ndarray]:
    """Return pictures as arrays; raise if one is invalid.

    Args:
        images: One picture, or a list or an array of them. A picture is the path of a file that
            Pillow can read, a picture of Pillow, or an array [H, W] or [H, W, C]: uint8 in
            [0, 255], or float in [0, 1].
        channels: C, 3 for red, green and blue, or 1 for brightness. Others are converted, and an
            alpha channel is left out.

    Returns:
        A list of arrays [H, W, C], uint8 in [0, 255], or float32 in [0, 1] where such came.

    Raises:
        ValueError: If there is no picture, `channels` is not 1 or 3, a file cannot be read, or an
            array has another shape, dtype or range.
    """
    check_choice(tuple(_MODES), channels=channels)
    if is_one_image(images):
        images = [images]
    if isinstance(images, (bytes, dict)) or is_dataset(images) or not hasattr(images, "__iter__"):
        raise ValueError(
            "Images must be in a list or an array, one or more. "
            f"Received: a value of type {type(images).__name__}"
        )
    if hasattr(images, "shape"):
        images = _to_numpy(images)
    images = list(images)
    need_some("image", images)
    return [_read(image, channels, place) for place, image in enumerate(images)]


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture [H, W, C] in another size, by Pillow's bicubic filter with antialiasing."""
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    def resize(plane):
        resized = Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized)

    resized = np.stack([resize(image[..., c]) for c in range(image.shape[-1])], axis=-1)
    return resized if image.dtype == np.uint8 else np.clip(resized, 0.0, 1.0)


def to_unit_range(image):
    """Return a picture, or a batch of one dtype, as float32 in [0, 1]."""
    if np.asarray(image).dtype == np.uint8:
        return np.asarray(image, "float32") / np.float32(255.0)
    return np.asarray(image, "float32")


def to_pillow(image: np.ndarray):
    """Return a picture of Pillow from an array [H, W, C], uint8, or float in [0, 1], rounded."""
    from PIL import Image

    if image.dtype != np.uint8:
        image = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype("uint8")
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _read(image, channels, place) -> np.ndarray:
    if isinstance(image, (str, os.PathLike)):
        return _read_file(image, channels)
    if _is_pillow(image):
        return _from_pillow(image, channels, f"a picture of mode {image.mode!r}")
    array = _to_numpy(image)
    received = f"Received: shape {array.shape}, dtype {array.dtype} at position {place}"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            "An image must be a path, a picture of Pillow, or an array [height, width] or "
            f"[height, width, 1, 3 or 4 channels]. {received}"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind != "f":
            raise ValueError(f"An image must be of dtype uint8 or float. {received}")
        array = array.astype("float32")
        least, most = array.min(), array.max()
        if not (least >= 0.0 and most <= 1.0):
            raise ValueError(
                "An image of floats must be in [0, 1]; one in [0, 255] must be uint8. "
                f"Received: values in [{least:g}, {most:g}] at position {place}"
            )
    return _with_channels(array, channels)


def _with_channels(array, channels):
    array = array[..., :3]  # Without alpha.
    if array.shape[-1] == channels:
        return array
    if channels == 3:
        return np.repeat(array, 3, axis=-1)
    luma = array.astype("float32") @ np.asarray(_LUMA, "float32")[:, None]
    return np.rint(luma).astype("uint8") if array.dtype == np.uint8 else luma


def _read_file(path, channels):
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            "Reading pictures from files needs Pillow: `pip install attnzoo[images]`."
        ) from error
    try:
        with Image.open(path) as image:
            return _from_pillow(ImageOps.exif_transpose(image), channels, os.fspath(path))
    except OSError as error:
        raise ValueError(
            f"An image must be a file that Pillow can read: {error}. Received: {os.fspath(path)}"
        ) from error


def _from_pillow(image, channels, received):
    if image.mode.startswith(("I", "F")):  # Pillow would cut these off at 255.
        raise ValueError(
            "An image must have 8 bits a channel: scale others to an array in [0, 1]. "
            f"Received: {received} of mode {image.mode!r}"
        )
    array = np.asarray(image.convert(_MODES[channels]))
    return array.reshape(*array.shape[:2], channels)


def _is_pillow(image) -> bool:
    return type(image).__module__.startswith("PIL.")


def _to_numpy(array) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "shape"):
        from keras import ops

        return ops.convert_to_numpy(array)
    return np.asarray(array)

"""Enlarging a picture with a preset for super-resolution."""

import argparse
import os

from attnzoo.cli.startup import announce_compiling, load_tensorflow
from attnzoo.cli.tasks import check_output, load_any_task

# Larger pictures are computed in tiles of this size, in pixels, unless `--tile` says otherwise.
_TILE = 256


def add_picture_arguments(parser: argparse.ArgumentParser):
    """Add the options for pictures."""
    parser.add_argument("--output", metavar="PICTURE", help="where the larger picture is written")
    parser.add_argument(
        "--tile",
        type=int,
        metavar="PIXELS",
        help="for super-resolution, side of the part computed at once; the result is the same "
        f"(default: the whole picture up to {_TILE} x {_TILE}, else {_TILE})",
    )


def enlarges(preset: str) -> bool:
    """Return whether a preset is one for super-resolution."""
    load_tensorflow()
    from attnzoo.models.parts.presets import task_class
    from attnzoo.models.tasks.super_resolution import SuperResolutionTask

    cls = task_class(preset)
    return cls is not None and issubclass(cls, SuperResolutionTask)


def check_no_picture(arguments: argparse.Namespace):
    """Raise if there are options for pictures, and the preset is for texts."""
    if arguments.output is not None or arguments.tile is not None:
        raise ValueError(
            "`--output` and `--tile` are for a preset for super-resolution; other outputs go to "
            f"standard output. Received: --output {arguments.output}, --tile {arguments.tile} with "
            f"{arguments.preset}"
        )


def enlarge(arguments: argparse.Namespace):
    """Write the larger picture, and print its path and size."""
    from attnzoo.models.preprocessing.images import read_images, to_pillow

    if arguments.output is None or arguments.file == "-":
        raise ValueError(
            "Super-resolution needs the file of a picture, and `--output` for the larger one. "
            f"Received: file {arguments.file}, --output {arguments.output}"
        )
    check_output(arguments.output, "--output")
    _check_ending(arguments.output)
    task = load_any_task(arguments)
    (picture,) = read_images(arguments.file, channels=task.backbone.num_channels)
    tile = arguments.tile
    if tile is None and picture.shape[0] * picture.shape[1] > _TILE**2:
        tile = _TILE
    announce_compiling()
    larger = task.predict(picture, tile_size=tile)
    to_pillow(larger).save(arguments.output)
    height, width = larger.shape[:2]
    print(f"{arguments.output}: {width} x {height} pixels")


def _check_ending(path):
    """Raise, before any work, if Pillow writes no file of this name."""
    from PIL import Image

    ending = os.path.splitext(path)[1].lower()
    if ending not in Image.registered_extensions():
        raise ValueError(
            f"`--output` must end as a picture does, such as .png or .jpg. Received: {path}"
        )

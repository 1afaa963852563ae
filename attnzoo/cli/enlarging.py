"""Enlarging a picture with a preset for super-resolution."""

import argparse
import os

from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import check_output

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


def check_picture_arguments(arguments: argparse.Namespace):
    """Raise, before any work, if no picture can be written to `--output`."""
    if arguments.output is None:
        return
    from PIL import Image

    check_output(arguments.output, "--output")
    if os.path.splitext(arguments.output)[1].lower() not in Image.registered_extensions():
        raise ValueError(
            "`--output` must end as a picture does, such as .png or .jpg. "
            f"Received: {arguments.output}"
        )


def refuse_picture_arguments(task, arguments: argparse.Namespace):
    """Raise if there are options for pictures, and the task is for texts."""
    if arguments.output is not None or arguments.tile is not None:
        raise ValueError(
            "`--output` and `--tile` are for super-resolution; other outputs go to standard "
            f"output. Received: --output {arguments.output}, --tile {arguments.tile} for a "
            f"{type(task).__name__}"
        )


def enlarge(task, arguments: argparse.Namespace):
    """Write the larger picture, and print its path and size."""
    from attnzoo.models.preprocessing.images import read_images, to_pillow

    files = [file for file in arguments.inputs if file != "-"]
    if arguments.output is None or len(files) != 1:
        raise ValueError(
            "Super-resolution needs the file of a picture, and `--output` for the larger one. "
            f"Received: files {files}, --output {arguments.output}"
        )
    (picture,) = read_images(files[0], channels=task.backbone.num_channels)
    tile = arguments.tile
    if tile is None and picture.shape[0] * picture.shape[1] > _TILE**2:
        tile = _TILE
    announce_compiling()
    larger = task.predict(picture, tile_size=tile)
    to_pillow(larger).save(arguments.output)
    height, width = larger.shape[:2]
    print(f"{arguments.output}: {width} x {height} pixels")

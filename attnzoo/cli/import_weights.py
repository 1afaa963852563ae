"""Make a preset of the weights of another package, from a file that you have.

attnzoo import-weights hat HAT_SRx4.pth presets/hat_x4
attnzoo import-weights hat own.safetensors presets/own --option convolution_scale=0.1
attnzoo predict presets/hat_x4 small.png --output large.png
"""

import argparse
import pathlib

from attnzoo.cli.startup import load_tensorflow
from attnzoo.cli.tasks import check_output
from attnzoo.importing import FORMATS, import_weights


def add_arguments(parser: argparse.ArgumentParser):
    names = ", ".join(f"{name} ({format.summary})" for name, format in FORMATS.items())
    parser.add_argument("format", choices=[*FORMATS], help=names)
    parser.add_argument("file", help="the weights: .pth, .pt, .safetensors or .npz")
    parser.add_argument("output", help="the preset's directory, which is new")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what no weight tells; may be repeated: "
        + "; ".join(f"{name}: {', '.join(format.options)}" for name, format in FORMATS.items()),
    )


def run(arguments: argparse.Namespace):
    check_output(arguments.output, "output")
    if pathlib.Path(arguments.output).exists():
        raise ValueError(f"`output` must be new. Received: {arguments.output}")
    options = dict(_parse(text, arguments.format) for text in arguments.option)
    load_tensorflow()
    task = import_weights(arguments.format, arguments.file, **options)
    task.save_to_preset(arguments.output)
    print(f"{arguments.output}: {type(task).__name__}, {task.count_params():,} parameters")


def _parse(text: str, format: str) -> tuple:
    """Return name and value of an option of a format."""
    name, _, value = text.partition("=")
    known = FORMATS[format].options
    try:
        return name, known[name](value)
    except (KeyError, ValueError) as error:
        kinds = ", ".join(f"{one}=<{kind.__name__}>" for one, kind in known.items())
        raise ValueError(
            f"`--option` for {format} must be one of {kinds or 'none'}. Received: {text}"
        ) from error

"""Write a model that runs without attnzoo, and check that its outputs equal the live model's.

  attnzoo export runs/demo/preset exported --beam 5
  saved_model_cli run --dir exported --tag_set serve --signature_def serving_default \\
      --input_exprs 'text=["attention"]'

A SavedModel goes from strings to results with TensorFlow. ONNX and LiteRT models are smaller, start
faster, and run with `attnzoo.runtime`, which needs NumPy and ONNX Runtime or LiteRT alone:

  attnzoo export rnn_seq2seq_small_cmudict g2p --format onnx --beam 5
"""

import argparse
import pathlib

from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import add_decoding_arguments, add_preset_argument, load_any_task

FORMATS = ("savedmodel", "onnx", "litert", "onnx-step", "litert-step")


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument("path", help="the directory to write")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="savedmodel",
        help="step: encoder and one step as two graphs, for a loop outside (default: savedmodel)",
    )
    parser.add_argument(
        "--inputs",
        choices=("text", "ids", "images"),
        help="of a SavedModel (default: text, or images for a captioner); others take ids",
    )
    parser.add_argument(
        "--length", type=int, metavar="S", help="longest source, in tokens, of a LiteRT model"
    )
    parser.add_argument("--max-length", type=int, metavar="T", help="longest output, in tokens")
    parser.add_argument(
        "--quantize",
        choices=("int8",),
        help="store weights of dense layers and embeddings in 8 bits; not with LiteRT",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    add_decoding_arguments(parser)


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    if pathlib.Path(arguments.path).exists():
        return (
            f"What is in {arguments.path} may not be whole; the same command with --overwrite "
            "writes it anew."
        )
    return "Nothing was written; the same command starts over."


def run(arguments: argparse.Namespace):
    from attnzoo import export

    kind, _, part = arguments.format.partition("-")
    _check(arguments, kind)
    task = load_any_task(arguments)
    if arguments.quantize:
        task.quantize(arguments.quantize)
    announce_compiling()
    options = {"overwrite": arguments.overwrite}
    for name in ("max_length", "length"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if part:
        export.step(task, arguments.path, format=kind, **options)
    elif kind == "savedmodel":
        export.saved_model(task, arguments.path, inputs=arguments.inputs, **options)
    else:
        write = export.onnx if kind == "onnx" else export.litert
        write(task, arguments.path, **options)
    print(arguments.path)


def _check(arguments, kind):
    """Raise if an option belongs to another format."""
    for name, formats in (("inputs", ("savedmodel",)), ("length", ("litert",))):
        value = getattr(arguments, name)
        if value is not None and kind not in formats:
            raise ValueError(
                f"`--{name}` is for `--format {formats[0]}`. "
                f"Received: --{name} {value} with --format {arguments.format}"
            )

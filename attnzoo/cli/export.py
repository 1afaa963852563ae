"""Write a SavedModel that needs only TensorFlow: strings in, results out.

  attnzoo export runs/demo/preset exported --beam 5
  saved_model_cli run --dir exported --tag_set serve --signature_def serving_default \\
      --input_exprs 'text=["attention"]'
"""

import argparse
import pathlib

from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import add_decoding_arguments, add_preset_argument, load_any_task


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument("path", help="the SavedModel's directory")
    parser.add_argument("--inputs", choices=("text", "ids"), default="text")
    parser.add_argument("--max-length", type=int, metavar="T", help="longest output, in tokens")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing SavedModel")
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
    from attnzoo.export import saved_model

    task = load_any_task(arguments)
    announce_compiling()
    options = {} if arguments.max_length is None else {"max_length": arguments.max_length}
    saved_model(
        task,
        arguments.path,
        inputs=arguments.inputs,
        overwrite=arguments.overwrite,
        **options,
    )
    print(arguments.path)

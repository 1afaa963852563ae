"""The command `attnzoo`: its parser, and what it does with errors and Ctrl-C."""

import argparse
import os
import sys

from attnzoo.cli.startup import INTERRUPTED, load_backend

CLOSED = 141  # Exit status where the reader of the output has gone, as after SIGPIPE.
DESCRIPTION = """\
Train and use models with attention: text to text, text classifiers and masked language models.

The backend is Keras's: set KERAS_BACKEND to tensorflow, jax or torch."""


def main(argv: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments, without the program's name; those of the process if None.

    Returns:
        The exit status: 0 after success; 2 for bad input, with a message on standard error; 130
        after Ctrl-C, with a line on standard error on how to resume; 141 if the reader of the
        output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # A terminal without ✓ shows ?.
    arguments = make_parser().parse_args(argv)
    if arguments.needs_backend:
        load_backend(alone=arguments.backend_alone)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        advice = arguments.advise(arguments)
        print(f"attnzoo {arguments.command}: stopped. {advice}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # The reader has enough, as in `attnzoo presets | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except (ValueError, OSError, ImportError) as error:
        print(f"attnzoo {arguments.command}: {error}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; a command's own imports are loaded when it runs."""
    from attnzoo.cli import (
        demo,
        evaluate,
        export,
        import_weights,
        leaderboard,
        plot,
        predict,
        presets,
        publish,
        retrain,
        train,
        train_super_resolution,
    )
    from attnzoo.cli.tasks import advise_start

    parser = argparse.ArgumentParser(
        prog="attnzoo",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (
        presets,
        predict,
        demo,
        train,
        train_super_resolution,
        retrain,
        evaluate,
        leaderboard,
        plot,
        export,
        publish,
        import_weights,
    ):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        summary, _, rest = (module.__doc__ or "").partition("\n")
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary}\n{rest}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        advise = getattr(module, "advise", advise_start)
        command.set_defaults(
            run=module.run,
            advise=advise,
            needs_backend=getattr(module, "NEEDS_BACKEND", True),
            backend_alone=getattr(module, "BACKEND_ALONE", False),
        )
    return parser


__all__ = ["main", "make_parser"]

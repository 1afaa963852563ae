"""Trained tasks on the command line: arguments for a preset, and loading."""

import argparse
import os
import pathlib

from attnzoo.cli.startup import load_tensorflow


def add_preset_argument(parser: argparse.ArgumentParser):
    """Add the preset, for all commands that use a trained task."""
    parser.add_argument(
        "preset", help="a preset's name or directory, a run's folder, or hf://user/name"
    )


def add_decoding_arguments(parser: argparse.ArgumentParser):
    """Add the options of decoding, for all commands that generate."""
    parser.add_argument("--beam", type=int, default=0, metavar="K", help="beams; 0 is greedy")
    parser.add_argument("--length-penalty", type=float, default=0.0, metavar="ALPHA")
    parser.add_argument("--coverage-penalty", type=float, default=0.0, metavar="BETA")


def check_output(path: str | os.PathLike, option: str):
    """Raise, before any work, if the result cannot be written to `path`."""
    folder = pathlib.Path(path).parent
    if not folder.is_dir():
        raise ValueError(f"`{option}` must be in a folder that exists. Received: {path}")


def advise_start(arguments: argparse.Namespace) -> str:
    """Return the advice after Ctrl-C for a command that has written nothing."""
    return "Nothing was written; the same command starts over."


def load_task(arguments: argparse.Namespace, preset: str | None = None):
    """Load a task that generates, with the sampler from the arguments.

    Args:
        arguments: Arguments of the command line.
        preset: Preset to load in place of the one in the arguments.
    """
    load_tensorflow()
    from attnzoo.models.parts.presets import task_class
    from attnzoo.models.tasks.seq2seq import Seq2SeqTask

    preset = preset or arguments.preset
    cls = task_class(preset)
    if cls is not None and not issubclass(cls, Seq2SeqTask):
        raise ValueError(
            "`plot` without `--heads` is for a task that generates. "
            f"Received: a {cls.__name__} in {preset}"
        )
    task = Seq2SeqTask.from_preset(preset)
    task.compile(sampler=make_sampler(arguments))
    return task


def load_any_task(arguments: argparse.Namespace):
    """Load the preset's task, of any kind."""
    load_tensorflow()
    from attnzoo.models.parts.presets import task_class
    from attnzoo.models.tasks.seq2seq import Seq2SeqTask

    cls = task_class(arguments.preset)
    if cls is None or issubclass(cls, Seq2SeqTask):
        return load_task(arguments)
    if arguments.beam:
        raise ValueError(
            "Beams are for a task that generates. "
            f"Received: --beam {arguments.beam} for a {cls.__name__}"
        )
    return cls.from_preset(arguments.preset)


def make_sampler(arguments: argparse.Namespace):
    """Return the sampler from the arguments: greedy, or beam search with its penalties."""
    from attnzoo.samplers import BeamSampler

    if not arguments.beam:
        return "greedy"
    return BeamSampler(
        arguments.beam,
        length_penalty=arguments.length_penalty,
        coverage_penalty=arguments.coverage_penalty,
    )

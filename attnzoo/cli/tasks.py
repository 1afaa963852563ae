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
    rules = parser.add_argument_group("Rules of an output, with beams or greedy")
    rules.add_argument(
        "--min-length", type=int, default=0, metavar="N", help="least length, in tokens"
    )
    rules.add_argument(
        "--no-repeat-ngram-size",
        type=int,
        default=0,
        metavar="N",
        help="no N tokens in a row occur twice in an output; 0 allows all",
    )
    rules.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="multiplies log p of a token that the output has already; 1 is none",
    )
    rules.add_argument("--forced-prefix", metavar="TEXT", help="the beginning of each output")
    rules.add_argument(
        "--banned-phrase",
        dest="banned_phrases",
        action="append",
        default=[],
        metavar="TEXT",
        help="what no output may have; may be repeated",
    )
    rules.add_argument(
        "--wanted-phrase",
        dest="wanted_phrases",
        action="append",
        default=[],
        metavar="TEXT",
        help="what every output must have; may be repeated",
    )


# The rules of an output, and how each is named beside the decoding of an evaluation.
_RULES = {
    "min_length": "at least {} tokens",
    "no_repeat_ngram_size": "no repeated {}-gram",
    "repetition_penalty": "repetition penalty {}",
    "forced_prefix": "prefix {}",
    "banned_phrases": "without {}",
    "wanted_phrases": "with {}",
}


def given_rules(arguments: argparse.Namespace) -> dict:
    """Return the rules of an output that were given, as arguments of a `BeamSampler`."""
    rules = {name: getattr(arguments, name) for name in _RULES}
    return {
        name: value
        for name, value in rules.items()
        if value and (name, value) != ("repetition_penalty", 1.0)
    }


def name_decoding(arguments: argparse.Namespace) -> str:
    """Return the name of the decoding method, for the leaderboard."""
    rules = []
    for name, value in given_rules(arguments).items():
        shown = " and ".join(value) if isinstance(value, list) else value
        rules.append(_RULES[name].format(f"{shown:g}" if isinstance(shown, float) else shown))
    if not arguments.beam:
        return ", ".join(["greedy", *rules])
    penalties = {
        "length penalty": arguments.length_penalty,
        "coverage penalty": arguments.coverage_penalty,
    }
    shown = [f"{name} {value:g}" for name, value in penalties.items() if value]
    return ", ".join([f"beam {arguments.beam}", *shown, *rules])


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
    if rules := given_rules(arguments):
        raise ValueError(
            "Rules of an output are for a task that generates. "
            f"Received: {rules} for a {cls.__name__}"
        )
    return cls.from_preset(arguments.preset)


def make_sampler(arguments: argparse.Namespace):
    """Return the sampler from the arguments: greedy, or beam search with penalties and rules."""
    from attnzoo.samplers import BeamSampler

    rules = given_rules(arguments)
    if not (arguments.beam or rules):
        return "greedy"
    return BeamSampler(
        arguments.beam or 1,  # One beam is greedy.
        length_penalty=arguments.length_penalty,
        coverage_penalty=arguments.coverage_penalty,
        **rules,
    )

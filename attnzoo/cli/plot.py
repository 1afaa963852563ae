"""Draw the alignments of a model, or of several side by side.

attnzoo plot runs/demo/preset attention phoneme --output alignments.png
attnzoo plot runs/demo/preset cough --target "K AO F" --output cough.png
attnzoo plot runs/soft/preset cough phoneme --beside runs/hard/preset --output beside.png
attnzoo plot runs/en-de/preset "a man sleeps ." --heads --output heads.png
attnzoo plot runs/captions flag.png --output where.png
"""

import argparse
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import (
    add_decoding_arguments,
    add_preset_argument,
    check_output,
    load_any_task,
    load_task,
)
from attnzoo.cli.texts import captions_pictures, warn_unknown

if TYPE_CHECKING:
    import keras


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="one or more sources")
    parser.add_argument(
        "--target",
        action="append",
        metavar="TEXT",
        help="draw the alignments of this output; one for each source",
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="PRESET",
        help="also draw another model's alignments for the same outputs; may be repeated",
    )
    parser.add_argument(
        "--heads",
        action="store_true",
        help="draw all heads of all layers of a Transformer, for one source",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help=".png, .pdf or .svg")
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace):
    sources, targets = arguments.sources, arguments.target
    if targets and len(targets) != len(sources):
        raise ValueError(
            "There must be one --target for each source, or none. "
            f"Received: {len(sources)} sources, {len(targets)} targets"
        )
    check_output(arguments.output, "--output")
    if arguments.heads:
        if len(sources) > 1 or arguments.beside:
            raise ValueError(
                "`--heads` draws one source of one model. Received: "
                f"{len(sources)} sources, {1 + len(arguments.beside)} models"
            )
        task = load_any_task(arguments)
        warn_unknown(task, sources, arguments.command)
        announce_compiling()
        figure = plot_task_heads(task, sources, targets)
    else:
        tasks = {arguments.preset: load_task(arguments)}
        warn_unknown(tasks[arguments.preset], sources, arguments.command)
        announce_compiling()
        targets = targets or tasks[arguments.preset].generate(sources)
        if captions_pictures(tasks[arguments.preset]):
            return _save(plot_picture(tasks[arguments.preset], arguments, targets), arguments)
        for preset in arguments.beside:
            tasks[preset] = load_task(arguments, preset)
        figure = plot_tasks(tasks, sources, targets)
    _save(figure, arguments)


def _save(figure, arguments):
    figure.savefig(arguments.output)
    print(arguments.output)


def plot_picture(task: "keras.Model", arguments: argparse.Namespace, targets: Sequence[str]):
    """Return a figure of where in one picture each token of its caption looks."""
    from attnzoo.plotting import plot_picture_alignments

    sources = arguments.sources
    if len(sources) > 1 or arguments.beside:
        raise ValueError(
            "A figure has one picture and one model. Received: "
            f"{len(sources)} pictures, {1 + len(arguments.beside)} models"
        )
    _, images = task.preprocessor.read_sources(sources)
    alignments = task.alignments((sources, targets))
    tokens = task.preprocessor.tokens(targets[0])
    return plot_picture_alignments(images[0], alignments[0], tokens, title=targets[0])


def plot_task_heads(task: "keras.Model", sources: Sequence[str], targets: Sequence[str] | None):
    """Return a figure of all heads of one model, for a pair or a text's self-attention."""
    from attnzoo.plotting import plot_heads

    if not task.backbone.has_heads or hasattr(task, "answer"):
        raise ValueError(
            "`--heads` is for a Transformer that generates, or that reads one text at a time. "
            f"Received: {type(task).__name__}"
        )
    tokens = task.preprocessor.tokens
    if not hasattr(task, "generate"):
        return plot_heads(task.head_alignments(sources)[0], tokens(sources[0]))
    targets = targets or task.generate(sources)
    alignments = task.head_alignments((sources, targets))[0]
    return plot_heads(alignments, tokens(sources[0], "source"), tokens(targets[0], "target"))


def plot_tasks(tasks: "Mapping[str, keras.Model]", sources: Sequence[str], targets: Sequence[str]):
    """Return a figure of alignments, with a row for each pair and a column for each model."""
    from attnzoo.plotting import plot_alignment_page, plot_alignments

    several = len(tasks) > 1
    columns = []
    for preset, task in tasks.items():
        alignments = task.alignments({"encoder_text": sources, "decoder_text": targets})
        title = _name(preset) if several else None
        columns.append(label_alignments(task, alignments, sources, targets, title))
    items = [item for row in zip(*columns, strict=True) for item in row]
    if len(items) == 1:
        return plot_alignments(*items[0][:3])
    if several:
        return plot_alignment_page(items, columns=len(columns))
    return plot_alignment_page(items)


def label_alignments(
    task: "keras.Model",
    alignments: Iterable[ArrayLike],
    sources: Sequence[str],
    targets: Sequence[str],
    title: str | None = None,
) -> list[tuple]:
    """Return the alignments, the tokens of both sides and the title of each pair."""
    tokens = task.preprocessor.tokens
    return [
        (one, tokens(source, "source"), tokens(target, "target"), title)
        for one, source, target in zip(alignments, sources, targets, strict=True)
    ]


def _name(preset):
    """Return a title for the model of a preset: the run's folder, or the preset itself."""
    path = pathlib.Path(preset)
    return path.parent.name if path.name == "preset" and path.parent.name else path.name

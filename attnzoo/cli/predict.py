"""Predict the output of each line of a file, or of standard input, with a trained model.

echo attention | attnzoo predict runs/demo/preset
attnzoo predict runs/en-de/preset sentences.en --beam 5 --scores > sentences.de

The output depends on the task: a text, a class, a tag for each word, a token for each [MASK], an
answer (for lines with a question, a tab and its context), or the numbers of an embedding. With
--inflections the lines have lemma and tags, with or without the form, and the output is a form.
Text is not converted: for a model trained on lower case, write in lower case.
"""

import argparse
import itertools
from collections.abc import Iterator

from attnzoo.cli.data_files import add_fields_argument, add_inflections_argument
from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import add_decoding_arguments, add_preset_argument, load_any_task
from attnzoo.cli.texts import join_symbols, warn_unknown


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument(
        "file", nargs="?", default="-", help="a text file, plain or .gz; - is standard input"
    )
    add_inflections_argument(parser)
    add_fields_argument(parser)
    parser.add_argument(
        "--scores",
        action="store_true",
        help="append a tab and a score to each output: log p of a text, or probabilities",
    )
    parser.add_argument(
        "--highlight",
        action="store_true",
        help="append a tab and the text to its class, its tokens coloured by saliency",
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace):
    lines = _read(arguments)
    task = load_any_task(arguments)
    predict = next(one for door, one in _PREDICTORS.items() if hasattr(task, door))
    if predict is _generate and not arguments.scores:
        predict = _generate_texts  # A score costs one more pass over each text.
    predict = _highlight if arguments.highlight else predict
    if not hasattr(task, "generate"):
        # Like the readers of `attnzoo train`: sources are taken unchanged.
        lines = (line.strip() for line in lines)
    warned = compiles = False
    arguments.answered = 0  # Number of lines, for `advise`.
    while batch := list(itertools.islice(lines, arguments.batch_size)):
        sources = [line for line in batch if line.strip()]
        if sources and not warned:
            warned = warn_unknown(task, sources, arguments.command)
        if sources and not compiles:
            compiles = True
            announce_compiling()
        results: Iterator[tuple] = iter(predict(task, sources) if sources else ())
        for line in batch:
            shown = ""
            if line.strip():
                output, scores = next(results)
                shown = _show(output, scores, arguments)
            print(shown, flush=True)
            arguments.answered += 1


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    count = getattr(arguments, "answered", 0)
    if not count:
        return "No line was answered; the same command starts over."
    return f"{count} lines were answered; to go on, give those from line {count + 1} on."


def _read(arguments):
    """Yield the lines of the file; a blank line has a blank output."""
    from attnzoo.data import read_inflections, read_json_lines, read_lines

    if arguments.fields:
        return (source for source, _ in read_json_lines(arguments.file, arguments.fields[0]))
    if arguments.inflections:
        return (source for source, _ in read_inflections(arguments.file))
    return read_lines(arguments.file)


def _show(output, scores, arguments) -> str:
    if arguments.inflections:
        output = join_symbols(output)
    if not (arguments.scores and len(scores)):
        return f"{output}"
    return f"{output}\t{' '.join(f'{score:.4f}' for score in scores)}"


_STEPS = 20  # Number of steps of integrated gradients.


# === The output of each line, and its scores ===


def _generate(task, lines):
    results = task.generate(lines, return_scores=True)
    return zip(results["outputs"], results["scores"][:, None], strict=True)


def _generate_texts(task, lines):
    return ((text, []) for text in task.generate(lines))


def _classify(task, lines):
    results = task.classify(lines, return_probabilities=True)
    return zip(results["labels"], results["probabilities"].max(axis=1)[:, None], strict=True)


def _highlight(task, lines):
    from attnzoo.plotting import highlight_terminal

    if not hasattr(task, "saliency"):
        raise ValueError(f"`--highlight` is for a text classifier. Received: {type(task).__name__}")
    found = task.saliency(lines, steps=_STEPS)
    rows = zip(found["labels"], found["tokens"], found["saliency"], strict=True)
    for label, tokens, weights in rows:
        yield f"{label}\t{highlight_terminal(tokens, weights)}", []


def _tag(task, lines):
    results = task.tag(lines, return_probabilities=True)
    for tags, probabilities in zip(results["labels"], results["probabilities"], strict=True):
        yield " ".join(str(tag) for tag in tags), probabilities.max(axis=1)


def _fill(task, lines):
    results = task.fill(lines, return_probabilities=True)
    for tokens, probabilities in zip(results["tokens"], results["probabilities"], strict=True):
        yield " ".join(best for (best,) in tokens), [best for (best,) in probabilities]


def _answer(task, lines):
    pairs = [tuple(line.split("\t")) for line in lines]
    for line, pair in zip(lines, pairs, strict=True):
        if len(pair) != 2:
            raise ValueError(
                f"A line must be a question, a tab and its context. Received: {line!r}"
            )
    results = task.answer(pairs, return_spans=True)
    return zip(results["answers"], results["probabilities"][:, None], strict=True)


def _embed(task, lines):
    for vector in task.embed(lines):
        yield " ".join(f"{number:.6f}" for number in vector), []


# The function for each task, by the name of the task's method.
_PREDICTORS = {
    "generate": _generate,
    "classify": _classify,
    "tag": _tag,
    "fill": _fill,
    "answer": _answer,
    "embed": _embed,
}

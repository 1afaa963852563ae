"""Predict the output of texts, of each line of a file, or of standard input.

attnzoo predict g2p_en hello
attnzoo predict runs/en-de/preset sentences.en --beam 5 --scores > sentences.de
attnzoo predict hat_tiny_x2 picture.png --output large.png
attnzoo predict runs/captions flag.png judge.png
attnzoo predict inflection_fi "talo N;IN+ESS;PL"
attnzoo predict exported lines.txt

The output depends on the task: a text, a class, a tag for each word, a token for each [MASK], an
answer (for lines with a question, a tab and its context), the numbers of an embedding, or the
caption of the picture whose path the text is. With
--inflections, or with a preset whose card says so, the lines have lemma and tags, with or without
the form, and the output is a form; in a text, a space may stand before the tags. Text is converted
to lower case only for a preset whose card says so. A preset for super-resolution takes a picture in
place of texts, and writes a larger one to --output. A folder from `attnzoo export --format onnx` or
litert is run without Keras, and decodes as it was exported.
"""

import argparse
import itertools
import os
import re
from collections.abc import Iterator

from attnzoo.cli.data_files import add_fields_argument, add_inflections_argument
from attnzoo.cli.enlarging import (
    add_picture_arguments,
    check_picture_arguments,
    enlarge,
    refuse_picture_arguments,
)
from attnzoo.cli.presets import inflects
from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import (
    add_decoding_arguments,
    add_preset_argument,
    advise_start,
    given_rules,
    load_any_task,
)
from attnzoo.cli.texts import captions_pictures, join_symbols, split_inflection, warn_unknown

BACKEND_ALONE = True  # It reads text in Python.


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="TEXT",
        help="texts; or one text file, plain or .gz; - or nothing is standard input",
    )
    add_picture_arguments(parser)
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


def is_exported(arguments: argparse.Namespace) -> bool:
    """Return whether the preset is a model for `attnzoo.runtime`, which needs no backend."""
    return os.path.exists(os.path.join(arguments.preset, "attnzoo.json"))


def needs_backend(arguments: argparse.Namespace) -> bool:
    """Return whether the command computes with a backend of Keras."""
    return not is_exported(arguments)


def run(arguments: argparse.Namespace):
    if is_exported(arguments):
        _run_exported(arguments)
        return
    check_picture_arguments(arguments)
    arguments.inflections = arguments.inflections or inflects(arguments.preset)
    lines = _read(arguments)
    task = load_any_task(arguments)
    if hasattr(task, "enlarge_in_tiles"):
        enlarge(task, arguments)
        return
    refuse_picture_arguments(task, arguments)
    if captions_pictures(task) and arguments.inputs not in ([], ["-"]):
        lines = iter(arguments.inputs)  # Paths of pictures.
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


def _run_exported(arguments):
    """Answer with the exported model in a folder, without Keras."""
    from attnzoo.runtime import Model
    from attnzoo.runtime.command import answer, open_inputs

    options = {
        **given_rules(arguments),
        **{name: getattr(arguments, name) or None for name in _DECODING},
        **{name: getattr(arguments, name) for name in ("output", "tile", "fields")},
        **{name: getattr(arguments, name) or None for name in ("inflections", "highlight")},
    }
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                "An exported model decodes as it was exported, and takes `--scores` and "
                f"`--batch-size` alone. Received: {name}={value!r}"
            )
    _texts_or_file(arguments.inputs)  # Refuses a file that is not there.
    model = Model.load(arguments.preset)
    with open_inputs(arguments.inputs) as lines:
        answer(model, lines, scores=arguments.scores, batch_size=arguments.batch_size)


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    if getattr(arguments, "output", None) is not None:
        return advise_start(arguments)
    count = getattr(arguments, "answered", 0)
    if not count:
        return "No line was answered; the same command starts over."
    return f"{count} lines were answered; to go on, give those from line {count + 1} on."


def _read(arguments):
    """Return the texts, or the lines of the file; a blank line has a blank output."""
    from attnzoo.data import inflection_source, read_inflections, read_json_lines, read_lines

    texts, file = _texts_or_file(arguments.inputs)
    if arguments.fields:
        if file is None:
            raise ValueError(
                f"`--fields` is for a file of JSON lines. Received: {arguments.inputs}"
            )
        return (source for source, _ in read_json_lines(file, arguments.fields[0]))
    if not arguments.inflections:
        return iter(texts) if file is None else read_lines(file)
    if file is None:
        return iter([inflection_source(*split_inflection(text)) for text in texts])
    return (source for source, _ in read_inflections(file))


def _texts_or_file(inputs):
    """Return texts, or the file that one input names."""
    if len(inputs) > 1:
        return inputs, None
    name = inputs[0] if inputs else "-"
    if name == "-" or (os.path.exists(name) and not os.path.isdir(name)):
        return None, name
    if _LIKE_A_FILE.fullmatch(name):
        raise FileNotFoundError(
            f"A text or a file that exists must be given. Received: {name}, which looks like a file"
        )
    return [name], None


def _show(output, scores, arguments) -> str:
    if arguments.inflections:
        output = join_symbols(output)
    if not (arguments.scores and len(scores)):
        return f"{output}"
    return f"{output}\t{' '.join(f'{score:.4f}' for score in scores)}"


# Without white space, and with a folder or an ending such as .txt or .gz.
_LIKE_A_FILE = re.compile(r"\S*(/\S*|\w\.[a-z]\w{0,3})")
_DECODING = ("beam", "length_penalty", "coverage_penalty")
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

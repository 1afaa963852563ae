"""What a trained model makes of a file's lines, or of standard input's.

echo attention | attnzoo predict runs/demo/preset
attnzoo predict runs/en-de/preset sentences.en --beam 5 --scores > sentences.de

What comes out depends on the task: a text, a class, a tag for each word, a token for each [MASK],
an answer (of lines with a question, a tab and its context), or the numbers of an embedding.
"""

import itertools
import sys

from attnzoo.cli.evaluate import add_decoding_arguments, load_any_task


def add_arguments(parser):
    parser.add_argument("preset", help="a preset's directory or name")
    parser.add_argument("file", nargs="?", default="-", help="a text file; - is standard input")
    parser.add_argument(
        "--scores",
        action="store_true",
        help="a tab and its score behind each output: log p of a text, or probabilities",
    )
    parser.add_argument(
        "--highlight",
        action="store_true",
        help="a tab and the text behind its class, coloured by how its tokens speak for it",
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    add_decoding_arguments(parser)


def run(arguments):
    task = load_any_task(arguments)
    if arguments.file == "-":
        _predict(task, sys.stdin, arguments)
    else:
        with open(arguments.file, encoding="utf-8") as file:
            _predict(task, file, arguments)


def _predict(task, file, arguments):
    """Line by line in, line by line out: an empty line stays one."""
    predict = next(one for door, one in _PREDICTORS.items() if hasattr(task, door))
    predict = _highlight if arguments.highlight else predict
    lines = (line.strip() for line in file)
    while batch := list(itertools.islice(lines, arguments.batch_size)):
        sources = [line for line in batch if line]
        results = iter(predict(task, sources) if sources else ())
        for line in batch:
            if not line:
                print()
                continue
            output, scores = next(results)
            scored = arguments.scores and len(scores)
            shown = "\t" + " ".join(f"{score:.4f}" for score in scores) if scored else ""
            print(f"{output}{shown}", flush=True)


_STEPS = 20  # Of the way to a text, for its saliency.


# === Of each line the output, and its scores ===


def _generate(task, lines):
    results = task.generate(lines, return_scores=True)
    return zip(results["outputs"], results["scores"][:, None], strict=True)


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


# By the method that a task of each kind has.
_PREDICTORS = {
    "generate": _generate,
    "classify": _classify,
    "tag": _tag,
    "fill": _fill,
    "answer": _answer,
    "embed": _embed,
}

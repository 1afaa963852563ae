"""The command `attnzoo-run`: an exported model on the lines of a file."""

import argparse
import contextlib
import gzip
import itertools
import json
import os
import sys
from collections.abc import Iterable

from .model import Model

# Of each task, what a line of output is, and its score.
_SHOWN = {
    "seq2seq": ("text", "scores"),
    "text_classifier": ("labels", "probabilities"),
    "token_tagger": ("labels", "probabilities"),
    "masked_lm": ("candidates", "probabilities"),
    "sentence_embedder": ("vectors", None),
    "span_qa": ("answers", "probabilities"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after bad input, with a message."""
    parser = argparse.ArgumentParser(
        prog="attnzoo-run",
        description="Run an exported model on texts, on each line of a file, or of standard input.",
        epilog="For question answering a line has a question, a tab and its context.",
    )
    parser.add_argument("model", help="a folder, as `attnzoo export --format onnx` writes it")
    parser.add_argument(
        "inputs", nargs="*", help="texts; or one text file; - or nothing is standard input"
    )
    parser.add_argument("--json", action="store_true", help="all results of a line, as JSON")
    parser.add_argument("--scores", action="store_true", help="append a tab and the score")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    arguments = parser.parse_args(argv)
    try:
        model = Model.load(arguments.model, threads=arguments.threads)
        with open_inputs(arguments.inputs) as lines:
            answer(
                model,
                lines,
                as_json=arguments.json,
                scores=arguments.scores,
                batch_size=arguments.batch_size,
            )
    except (ValueError, OSError, ImportError) as error:
        print(f"attnzoo-run: {error}", file=sys.stderr)
        return 2
    return 0


def open_inputs(inputs: list[str]):
    """Return texts, or the lines of the file that a single input names, in a context manager."""
    if inputs in ([], ["-"]):
        return contextlib.nullcontext(sys.stdin)
    if len(inputs) > 1 or not os.path.isfile(inputs[0]):
        return contextlib.nullcontext(inputs)
    if inputs[0].endswith(".gz"):
        return gzip.open(inputs[0], "rt", encoding="utf-8")
    return open(inputs[0], encoding="utf-8")


def answer(
    model: Model,
    lines: Iterable[str],
    *,
    as_json: bool = False,
    scores: bool = False,
    batch_size: int = 64,
):
    """Print the model's answer to each line; a blank line has a blank answer.

    Args:
        model: The model.
        lines: The lines, with or without their ends.
        as_json: Whether an answer has all results, as JSON.
        scores: Whether a tab and the score follow an answer.
        batch_size: Number of lines in a batch. At least 1.
    """
    lines = iter(lines)
    while part := list(itertools.islice(lines, batch_size * 16)):
        _answer(model, [line.rstrip("\r\n") for line in part], as_json, scores, batch_size)


def _answer(model, lines, as_json, scores, batch_size):
    given = [line for line in lines if line.strip()]
    inputs = [tuple(line.split("\t")) for line in given] if model.task == "span_qa" else given
    found = model(inputs, batch_size=batch_size) if given else {}
    rows = iter([dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)])
    for line in lines:
        row = next(rows) if line.strip() else None
        if as_json:
            print(json.dumps(row, ensure_ascii=False, default=lambda array: array.tolist()))
        else:
            print("" if row is None else _shown(model.task, row, scores))
    sys.stdout.flush()


def _shown(task, row, with_scores):
    name, score = _SHOWN[task]
    output = row[name]
    if task == "masked_lm":
        output = [candidates[0] for candidates in output]
    elif task == "seq2seq" and isinstance(output, list):
        return "\t".join(output)
    text = output if isinstance(output, (str, int)) else " ".join(map(str, output))
    if not (with_scores and score):
        return text
    best = row[score]
    best = [best] if isinstance(best, float) else best.max(axis=-1).ravel().tolist()
    return f"{text}\t{' '.join(f'{one:.4f}' for one in best)}"

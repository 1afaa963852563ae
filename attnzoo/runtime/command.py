"""The command `attnzoo-run`: an exported model on the lines of a file."""

import argparse
import itertools
import json
import sys

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
        description="Run an exported model on each line of a file, or of standard input.",
        epilog="For question answering a line has a question, a tab and its context.",
    )
    parser.add_argument("model", help="a folder, as `attnzoo export --format onnx` writes it")
    parser.add_argument("file", nargs="?", default="-", help="a text file; - is standard input")
    parser.add_argument("--json", action="store_true", help="all results of a line, as JSON")
    parser.add_argument("--scores", action="store_true", help="append a tab and the score")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    arguments = parser.parse_args(argv)
    try:
        model = Model.load(arguments.model, threads=arguments.threads)
        file = sys.stdin if arguments.file == "-" else open(arguments.file, encoding="utf-8")
        with file:
            while lines := list(itertools.islice(file, arguments.batch_size * 16)):
                _answer(model, [line.rstrip("\r\n") for line in lines], arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"attnzoo-run: {error}", file=sys.stderr)
        return 2
    return 0


def _answer(model, lines, arguments):
    """Print a line for each line; a blank one has a blank answer."""
    given = [line for line in lines if line.strip()]
    inputs = [tuple(line.split("\t")) for line in given] if model.task == "span_qa" else given
    found = model(inputs, batch_size=arguments.batch_size) if given else {}
    rows = iter([dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)])
    for line in lines:
        row = next(rows) if line.strip() else None
        if arguments.json:
            print(json.dumps(row, ensure_ascii=False, default=lambda array: array.tolist()))
        else:
            print("" if row is None else _shown(model.task, row, arguments.scores))
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

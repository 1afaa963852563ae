"""Transduce a file's lines, or standard input's.

echo attention | attnzoo predict runs/demo/preset
attnzoo predict runs/en-de/preset sentences.en --beam 5 --scores > sentences.de
"""

import itertools
import sys

from attnzoo.cli.evaluate import add_decoding_arguments, load_task


def add_arguments(parser):
    parser.add_argument("preset", help="a preset's directory or name")
    parser.add_argument("file", nargs="?", default="-", help="a text file; - is standard input")
    parser.add_argument("--scores", action="store_true", help="a tab and log p behind each output")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    add_decoding_arguments(parser)


def run(arguments):
    task = load_task(arguments)
    if arguments.file == "-":
        _transduce(task, sys.stdin, arguments)
    else:
        with open(arguments.file, encoding="utf-8") as file:
            _transduce(task, file, arguments)


def _transduce(task, file, arguments):
    """Line by line in, line by line out: an empty line stays one."""
    lines = (line.strip() for line in file)
    while batch := list(itertools.islice(lines, arguments.batch_size)):
        sources = [line for line in batch if line]
        outputs = scores = iter(())
        if sources:
            results = task.generate(sources, return_scores=True)
            outputs, scores = iter(results["outputs"]), iter(results["scores"])
        for line in batch:
            if not line:
                print()
                continue
            output, score = next(outputs), next(scores)
            print(f"{output}\t{score:.4f}" if arguments.scores else output, flush=True)

"""Train a model that pronounces English words in a few minutes, and show its outputs.

Trains a Bahdanau model from letters to phonemes on the CMU Pronouncing Dictionary, measures it on
held-out words, draws its alignments, exports a SavedModel, and runs it in a process without attnzoo
and Keras. The output folder then holds the run (see `attnzoo train --help`), alignments.png and
saved_model/.

The same command resumes an interrupted demo. It shows a finished demo again, without training.

  attnzoo demo
  attnzoo demo --size small     # the same in about a minute, on fewer and shorter words
"""

import argparse
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from attnzoo.cli.startup import announce_compiling, load_tensorflow
from attnzoo.cli.train import advise  # noqa: F401

WORDS = ("attention", "knowledge", "thoughtful", "psychology", "bureau", "quickly")
LONGEST = 10  # Letters, and phonemes, of the words that `--size small` trains on and is tested on.

# Importing these raises ImportError in the child process, so its output comes from TensorFlow
# alone.
_CHILD = """\
import sys
for name in ("attnzoo", "keras", "keras_hub", "tf_keras"):
    sys.modules[name] = None
import tensorflow as tf
words = sys.argv[2:]
model = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
for text in model(text=tf.constant(words))["text"].numpy():
    print(text.decode("utf-8"))
"""


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--output", default="runs/demo", metavar="DIR", help="the run folder")
    parser.add_argument("--overwrite", action="store_true", help="start the run anew")


def run(arguments: argparse.Namespace):
    import time

    from attnzoo.cli.plot import label_alignments
    from attnzoo.cli.train import train
    from attnzoo.data import cmudict_split, group_references
    from attnzoo.export import saved_model
    from attnzoo.plotting import plot_alignment_page
    from attnzoo.training import evaluate_predictions, format_predictions

    load_tensorflow()
    small = arguments.size == "small"
    folder = pathlib.Path(arguments.output)
    train_pairs, dev_pairs, test_pairs = cmudict_split(seed=0)
    if small:
        train_pairs = _spread(_short(train_pairs), 11_400)
        dev_pairs = _spread(_short(dev_pairs), 448)
        test_pairs = _short(test_pairs)
    finished = (folder / "preset").is_dir() and not arguments.overwrite
    start = time.monotonic()
    task = train(_settings(small), train_pairs, dev_pairs, folder, overwrite=arguments.overwrite)
    if not finished:
        print(f"Training, compilation included, took {time.monotonic() - start:.0f} s.\n")

    references = group_references(test_pairs)
    words = _spread(list(references), 512 if small else 2048)  # Full batches need one compilation.
    announce_compiling()
    answers = [references[word] for word in words]
    predictions = task.generate(words, batch_size=128)
    print(format_predictions(words, predictions, answers, limit=12))
    for name, value in evaluate_predictions(predictions, answers).items():
        print(f"{name:20} {value:.1%}")
    kind = f"held-out words of at most {LONGEST} letters" if small else "held-out words"
    print(f"(on {len(words)} {kind})\n")

    results = task.generate(list(WORDS), return_alignments=True)
    expected = results["outputs"]
    pairs = label_alignments(task, results["alignments"], WORDS, expected)
    plot_alignment_page(pairs).savefig(folder / "alignments.png")
    saved_model(task, folder / "saved_model", overwrite=True)
    print("In a process with TensorFlow alone, the SavedModel says:")
    outputs = run_alone(folder / "saved_model", WORDS)
    for word, output in zip(WORDS, outputs, strict=True):
        print(f"  {word:12} {output}")
    if outputs != expected:
        raise ValueError(
            "The SavedModel must give what the model gives. "
            f"Received: {outputs} in place of {expected}"
        )
    print(f"\nIn {folder}: " + ", ".join(sorted(path.name for path in folder.iterdir())))


def run_alone(path: str | os.PathLike, words: Sequence[str]):
    """Return a SavedModel's outputs from a process that can import neither attnzoo nor Keras."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), *words], capture_output=True, text=True
    )
    if child.returncode:
        raise RuntimeError(f"The SavedModel did not run alone:\n{child.stderr[-2000:]}")
    return child.stdout.splitlines()


def _short(pairs):
    """Return the pairs of words with few letters and phonemes."""
    return [
        (word, phonemes)
        for word, phonemes in pairs
        if len(word) <= LONGEST and len(phonemes.split()) <= LONGEST
    ]


def _spread(items, count: int):
    """Return at most `count` items, evenly spaced: the lists are in alphabetical order."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def _settings(small: bool):
    from attnzoo.cli.settings import make_settings

    return make_settings(
        source_tokenizer="character",
        target_tokenizer="symbol",
        max_source_length=16 if small else 32,
        max_target_length=16 if small else 32,
        attention="bahdanau",
        cell="gru" if small else "lstm",
        embedding_dim=64,
        hidden_dim=96 if small else 160,
        dropout=0.0 if small else 0.1,
        epochs=4 if small else 2,
        batch_size=64 if small else 128,
        learning_rate=4e-3,
        num_buckets=1 if small else 3,  # Each costs one compilation of the training step.
    )

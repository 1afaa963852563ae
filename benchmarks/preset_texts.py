"""What the card of a preset says of its run: commands, the symbols it knows, an example."""

import contextlib
import io
import json
import shlex

import attnzoo
from attnzoo.cli import main as attnzoo_command
from attnzoo.cli.settings import of_record
from attnzoo.cli.settings.option import as_flag
from attnzoo.cli.settings.parts import OPTIONS


def recipe(record, source) -> str:
    """Return the command of a run: its options that are not the default ones, and its files."""
    words = ["attnzoo", "train", *(["--inflections"] if source.get("inflections") else [])]
    for part in ("train", "dev"):
        words += [f"--{part}", *(f"DATA/{name}" for name in source[part])]
    words += ["--output", "RUN"]
    for name, value in of_record(record.recipe).items():
        if value != OPTIONS[name].default:
            words += _words(name, value)
    return shlex.join(words)


def fine_tuning(record, inflections) -> str:
    """Return a command that trains the preset further."""
    words = ["attnzoo", "train", "--preset", record.name, *inflections, "--train", "train.tsv"]
    words += ["--dev", "dev.tsv", "--output", "runs/mine", "--learning-rate", "0.0005"]
    for name in ("task", "model", "dropout"):
        if record.recipe[name] != OPTIONS[name].default:
            words += _words(name, record.recipe[name])
    return shlex.join(words)


def predict(preset, text, inflections) -> str:
    """Return the output for a text, as `attnzoo predict` prints it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        attnzoo_command(["predict", str(preset), text, *inflections])
    return printed.getvalue().strip()


def describe_symbols(preset) -> str:
    """Return which characters a preset knows, and what happens to capitals and digits."""
    task = attnzoo.models.parts.presets.task_class(preset).from_preset(preset)
    tokenizer = source_tokenizer(task)
    if not hasattr(tokenizer, "lowercase"):
        return "subwords of any text; rare characters as an unknown token"
    letters = sorted(token for token in tokenizer.get_vocabulary() if len(token) == 1)
    parts = [f"`{_ranges(letters)}`"]
    if tokenizer.lowercase:
        parts.append("capital letters as small ones")
    elif not any(letter.isupper() for letter in letters):
        parts.append("no capital letters")
    if not any(letter.isdigit() for letter in letters):
        parts.append("no digits")
    return "; ".join([*parts, "all others as [UNK], with a warning of the command"])


def source_tokenizer(task):
    """Return the tokenizer of a task's input."""
    return getattr(task.preprocessor, "source_tokenizer", task.preprocessor.tokenizer)


def _words(name, value) -> list:
    flag = as_flag(name)
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [flag, *(f"{key}={json.dumps(one)}" for key, one in value.items())]
    return [flag, str(value)]


def _ranges(letters) -> str:
    """Return characters in order, three or more neighbours as a range."""
    groups = []
    for letter in letters:
        if groups and ord(letter) == ord(groups[-1][-1]) + 1:
            groups[-1].append(letter)
        else:
            groups.append([letter])
    shown = [f"{one[0]}-{one[-1]}" if len(one) > 2 else " ".join(one) for one in groups]
    return " ".join(shown)

"""Make built-in presets of finished runs: stored small, measured, and with a card.

    python benchmarks/presets.py runs/rnn_seq2seq_small_german --data data

A run's folder has the name of the preset; `benchmarks/presets.yaml` says what cannot be measured.
The preset goes to attnzoo/presets/, in float16, with its card, the record of the run, and a file of
held-out lines. Its scores are those of the stored weights. It stays in float32 if it would lose
more than a tenth of a point.
"""

import argparse
import json
import pathlib
import shlex
import shutil
import tempfile

import h5py
import yaml

import attnzoo
from attnzoo.cli import main as attnzoo_command
from attnzoo.cli.data_files import read_pairs
from attnzoo.cli.run_records import read_folder, to_line
from attnzoo.cli.settings import of_record
from attnzoo.cli.settings.option import as_flag
from attnzoo.cli.settings.parts import OPTIONS
from attnzoo.data import group_references
from attnzoo.presets import Card, Score
from attnzoo.presets.card import CARD, HELD_OUT, RUN

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRESETS = ROOT / "attnzoo" / "presets"
TEXTS = ROOT / "benchmarks" / "presets.yaml"
HELD_OUT_LINES = 60
# The largest loss of a score, in points, that float16 may cost.
LARGEST_LOSS = 0.1
METRICS = {
    "pronunciation": ("word_error_rate", "phoneme_error_rate"),
    "inflection": ("exact_match", "mean_edit_distance"),
    "translation": ("bleu",),
}
DECODINGS = {"greedy": [], "beam 5": ["--beam", "5"]}


def main(arguments=None):
    """Run the command; `arguments` is a list, or None for the process's own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--data", required=True, metavar="DIR", help="the folder of the data files")
    options = parser.parse_args(arguments)
    texts = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
    for run in options.runs:
        make_preset(read_folder(run), pathlib.Path(options.data), texts, PRESETS)


def make_preset(record, data, texts, presets):
    """Write the preset of one run.

    Args:
        record: The `RunRecord` of a run's folder.
        data: The folder with the test files.
        texts: The content of `presets.yaml`.
        presets: The folder for the preset, which gets the name of the run.
    """
    about = texts["presets"][record.name]
    record.note = about.get("note", "")
    source = texts["data"][about["data"]]
    folder = presets / record.name
    inflections = ["--inflections"] if source.get("inflections") else []
    test = ["--data", *(str(data / name) for name in source["test"]), *inflections]
    metrics = METRICS[about["task"]]

    store(record.place / "preset", folder, "float16")
    (folder / RUN).write_text(to_line(record) + "\n", encoding="utf-8")
    precision, found = "float16", measure(folder, test, metrics)
    if loss(record, found, metrics[0]) > LARGEST_LOSS:
        store(record.place / "preset", folder, "float32")
        (folder / RUN).write_text(to_line(record) + "\n", encoding="utf-8")
        precision, found = "float32", measure(folder, test, metrics)
    scores = [one for figures in found.values() for one in as_scores(figures, metrics, "test")]
    write_held_out(folder / HELD_OUT, data, source)
    held_out = ["--data", str(folder / HELD_OUT), *inflections]
    (few,) = measure(folder, held_out, metrics[:1], ["greedy"]).values()
    scores += as_scores(few, metrics[:1], "held out")

    training = record.training
    card = Card(
        name=record.name,
        task=about["task"],
        languages=about["languages"],
        model=json.loads((folder / "task.json").read_text())["class_name"],
        summary=about["summary"],
        data=source["source"],
        licence=source["licence"],
        recipe=recipe(record, source),
        backend=training["backend"],
        seed=record.recipe["seed"],
        parameters=training["parameters"],
        minutes=round(training["seconds"] / 60, 1) if training["seconds"] else None,
        precision=precision,
        scores=scores,
        reads=describe_symbols(folder),
        limits=[*source["limits"], *about.get("limits", ())],
        biases=source["biases"],
        example=(about["example"], predict(folder, about["example"], inflections)),
        fine_tune=fine_tuning(record, inflections),
        inflections=bool(inflections),
    )
    (folder / CARD).write_text(card.to_json(), encoding="utf-8")


# === Weights ===


def store(preset, folder, dtype):
    """Copy a preset, with its weights in another type, and capital letters folded if it has none.

    Weights are converted when they are read: the model computes as it was trained.
    """
    task = attnzoo.models.parts.presets.task_class(preset).from_preset(preset)
    tokenizer = getattr(task.preprocessor, "source_tokenizer", task.preprocessor.tokenizer)
    if folds_case(tokenizer):
        tokenizer.lowercase = True
    shutil.rmtree(folder, ignore_errors=True)
    task.save_to_preset(str(folder))
    for path in folder.glob("*.h5"):
        convert(path, dtype)


def convert(path, dtype):
    """Store the floating-point arrays of an HDF5 file in another type, compressed."""
    made = path.with_suffix(".converted")
    with h5py.File(path) as old, h5py.File(made, "w") as new:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                one = new.require_group(name)
            else:
                kept = item.dtype if item.dtype.kind != "f" else dtype
                options = {"compression": "gzip", "shuffle": True} if item.shape else {}
                one = new.create_dataset(name, data=item[()].astype(kept), **options)
            one.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    made.replace(path)


def folds_case(tokenizer) -> bool:
    """Return whether a tokenizer of characters knows small letters only."""
    if not isinstance(tokenizer, attnzoo.data.CharacterTokenizer):
        return False
    letters = [token for token in tokenizer.get_vocabulary() if len(token) == 1]
    return all(letter == letter.lower() for letter in letters)


# === Scores ===


def measure(preset, data, metrics, decodings=tuple(DECODINGS)) -> dict:
    """Return what `attnzoo evaluate` measures, for each decoding."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "found.json"
        for decoding in decodings:
            words = ["evaluate", str(preset), *data, "--metrics", *metrics, "--show", "0"]
            if attnzoo_command([*words, *DECODINGS[decoding], "--json", str(path)]):
                raise RuntimeError(f"The preset could not be measured. Received: {preset}")
            found[decoding] = json.loads(path.read_text())
    return found


def loss(record, found, metric) -> float:
    """Return how many points the stored weights lose, by the evaluations in the run's folder."""
    before = [one for one in record.evaluations.values() if one.get("decoding") == "greedy"]
    if not before:
        raise ValueError(
            "A run to store needs a greedy evaluation of the test data in its folder: `attnzoo "
            f"evaluate --json`. Received: run={record.place}"
        )
    old, new = (
        Score(metric, one[metric], "test", 0, "greedy", "") for one in (before[0], found["greedy"])
    )
    change = new.points - old.points
    return change if metric.endswith("_rate") else -change


def as_scores(figures, metrics, data) -> list:
    """Return the figures of one evaluation as scores of a card."""
    return [
        Score(
            metric=metric,
            value=round(figures[metric], 4),
            data=data,
            sources=figures["sources"],
            decoding=figures["decoding"],
            version=figures.get(f"{metric}_signature", f"attnzoo {attnzoo.__version__}"),
        )
        for metric in metrics
    ]


def write_held_out(path, data, source):
    """Write test items that are evenly spread, at most 60 lines."""
    files = [data / name for name in source["test"]]
    if source.get("inflections"):
        lines = _lines(files[0])
    else:
        groups = group_references(read_pairs(files)).items()
        lines = [[f"{text}\t{answer}" for answer in answers] for text, answers in groups]
    for count in range(min(HELD_OUT_LINES, len(lines)), 0, -1):
        chosen = [lines[number * len(lines) // count] for number in range(count)]
        flat = [line for group in chosen for line in group]
        if len(flat) <= HELD_OUT_LINES:
            break
    path.write_text("".join(f"{line}\n" for line in flat), encoding="utf-8")


def _lines(path):
    from attnzoo.data import read_lines

    return [[line] for line in read_lines(path) if line.strip()]


# === Words of the card ===


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


def _words(name, value) -> list:
    flag = as_flag(name)
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [flag, *(f"{key}={json.dumps(one)}" for key, one in value.items())]
    return [flag, str(value)]


def fine_tuning(record, inflections) -> str:
    """Return a command that trains the preset further."""
    more = ["--inflections"] if inflections else []
    words = ["attnzoo", "train", "--preset", record.name, *more, "--train", "train.tsv"]
    words += ["--dev", "dev.tsv", "--output", "runs/mine", "--learning-rate", "0.0005"]
    kept = [("model", "rnn"), ("dropout", OPTIONS["dropout"].default)]
    for name, default in kept:
        if record.recipe[name] != default:
            words += _words(name, record.recipe[name])
    return shlex.join(words)


def predict(preset, text, inflections) -> str:
    """Return the output for a text, as `attnzoo predict` prints it."""
    from attnzoo.cli.texts import join_symbols, split_inflection

    task = attnzoo.models.parts.presets.task_class(preset).from_preset(preset)
    if not inflections:
        return task.generate([text])[0]
    return join_symbols(task.generate([attnzoo.data.inflection_source(*split_inflection(text))])[0])


def describe_symbols(preset) -> str:
    """Return which characters a preset knows, and what happens to capitals and digits."""
    task = attnzoo.models.parts.presets.task_class(preset).from_preset(preset)
    tokenizer = getattr(task.preprocessor, "source_tokenizer", task.preprocessor.tokenizer)
    if not hasattr(tokenizer, "lowercase"):
        return "subwords of any text of Unicode; rare characters are read as [UNK]"
    letters = sorted(token for token in tokenizer.get_vocabulary() if len(token) == 1)
    parts = [f"`{_ranges(letters)}`"]
    if tokenizer.lowercase:
        parts.append("capital letters as small ones")
    elif not any(letter.isupper() for letter in letters):
        parts.append("no capital letters")
    if not any(letter.isdigit() for letter in letters):
        parts.append("no digits")
    return "; ".join([*parts, "all others as [UNK], with a warning of the command"])


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


if __name__ == "__main__":
    main()

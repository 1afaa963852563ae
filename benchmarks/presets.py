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
import shutil
import tempfile

import h5py
import preset_texts
import yaml

import attnzoo
from attnzoo.cli import main as attnzoo_command
from attnzoo.cli.data_files import read_pairs
from attnzoo.cli.run_records import read_folder, to_line
from attnzoo.data import group_references, read_lines
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
ACCURACY = ("accuracy",)  # Of all other tasks.
# Options of the first decoding and of a better one, of a task that generates; other tasks have one.
DECODINGS = ([], ["--beam", "5"])


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
    source = texts["data"][about["data"]]
    record.note = about.get("note", "")
    if record.recipe["preset"]:  # A run's folder, which has the name of its preset.
        record.recipe["preset"] = pathlib.Path(record.recipe["preset"]).parent.name
    folder = presets / record.name
    inflections = ["--inflections"] if source.get("inflections") else []
    generates = record.recipe["task"] == "seq2seq"
    metrics = METRICS.get(about["task"], ACCURACY)
    decodings = DECODINGS if generates else DECODINGS[:1]

    test = ["--data", *(str(data / name) for name in source["test"]), *inflections]
    for precision in ("float16", "float32"):
        store(record, folder, precision)
        found = measure(folder, test, metrics, decodings)
        if loss(record, found[0], metrics[0]) <= LARGEST_LOSS:
            break
    write_held_out(folder / HELD_OUT, data, source, grouped=generates and not inflections)
    held_out = ["--data", str(folder / HELD_OUT), *inflections]
    (few,) = measure(folder, held_out, metrics[:1], DECODINGS[:1])

    seconds = record.training["seconds"]
    card = Card(
        name=record.name,
        task=about["task"],
        languages=about["languages"],
        model=json.loads((folder / "task.json").read_text())["class_name"],
        summary=about["summary"],
        data=source["source"],
        licence=source["licence"],
        recipe=preset_texts.recipe(record, source),
        backend=record.training["backend"],
        seed=record.recipe["seed"],
        parameters=record.training["parameters"],
        minutes=None if seconds is None else round(seconds / 60, 1),
        precision=precision,
        scores=[
            *(one for figures in found for one in as_scores(figures, metrics, "test")),
            *as_scores(few, metrics[:1], "held out"),
        ],
        reads=about.get("reads") or preset_texts.describe_symbols(folder),
        limits=[*source["limits"], *about.get("limits", ())],
        biases=source["biases"],
        example=(about["example"], preset_texts.predict(folder, about["example"], inflections)),
        fine_tune=preset_texts.fine_tuning(record, inflections),
        inflections=bool(inflections),
    )
    (folder / CARD).write_text(card.to_json(), encoding="utf-8")


# === Weights ===


def store(record, folder, dtype):
    """Write the preset of a run, with its weights in another type, and its record.

    Weights are converted when they are read: the model computes as it was trained. A model that
    knows no capital letters reads them as small ones from now on.
    """
    preset = record.place / "preset"
    task = attnzoo.models.parts.presets.task_class(preset).from_preset(preset)
    tokenizer = preset_texts.source_tokenizer(task)
    if folds_case(tokenizer):
        tokenizer.lowercase = True
    shutil.rmtree(folder, ignore_errors=True)
    task.save_to_preset(str(folder))
    for path in folder.glob("*.h5"):
        convert(path, dtype)
    (folder / RUN).write_text(to_line(record) + "\n", encoding="utf-8")


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


def measure(preset, data, metrics, decodings) -> list:
    """Return what `attnzoo evaluate` measures, for the options of each decoding."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "found.json"
        for decoding in decodings:
            words = ["evaluate", str(preset), *data, "--metrics", *metrics, "--show", "0"]
            if attnzoo_command([*words, *decoding, "--json", str(path)]):
                raise RuntimeError(f"The preset could not be measured. Received: {preset}")
            found.append(json.loads(path.read_text()))
    return found


def loss(record, found, metric) -> float:
    """Return how many points the stored weights lose, by an evaluation in the run's folder."""
    decoding = found["decoding"]
    before = [one for one in record.evaluations.values() if one.get("decoding") == decoding]
    if not before:
        raise ValueError(
            "A run to store needs an evaluation of the test data in its folder, by `attnzoo "
            f"evaluate --json`. Received: run={record.place}, without decoding={decoding!r}"
        )
    old, new = (Score(metric, one[metric], "test", 0, decoding, "") for one in (before[0], found))
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


def write_held_out(path, data, source, grouped=True):
    """Write test items that are evenly spread, at most 60 lines.

    Args:
        path: The file to write.
        data: The folder of the test files.
        source: The entry of the data in `presets.yaml`.
        grouped: Whether an item is a source with all its references, else a line.
    """
    files = [data / name for name in source["test"]]
    if grouped:
        groups = group_references(read_pairs(files)).items()
        items = [[f"{text}\t{answer}" for answer in answers] for text, answers in groups]
    else:
        items = [[line] for line in read_lines(files[0]) if line.strip()]
    for count in range(min(HELD_OUT_LINES, len(items)), 0, -1):
        chosen = [items[number * len(items) // count] for number in range(count)]
        lines = [line for item in chosen for line in item]
        if len(lines) <= HELD_OUT_LINES:
            break
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The record of a run: its recipe, its training, its history and its evaluations.

`attnzoo train` and `attnzoo evaluate --json` write a record as files in the run's folder. A
`.jsonl` file holds the records of many runs, one line of JSON each.
"""

import csv
import dataclasses
import json
import os
import pathlib

# Files in a run's folder, besides its evaluations.
RECORD = "recipe.json"  # The settings of the run.
METRICS = "metrics.json"  # The model's size and the time of training.
HISTORY = "history.csv"


@dataclasses.dataclass
class RunRecord:
    """The record of one run.

    Attributes:
        name: Name of the run's folder.
        recipe: The options of `attnzoo train`, by name.
        training: Number of parameters, epochs and seconds, as in metrics.json.
        evaluations: The results of `attnzoo evaluate`, by the stem of the file's name.
        history: A list for each column of history.csv, with None for a value that was not logged;
            None if there is no history.
        note: Remark on the record, for readers.
        place: Path of the folder or file that the record was read from.
    """

    name: str
    recipe: dict
    training: dict
    evaluations: dict
    history: dict | None = None
    note: str = ""
    place: pathlib.Path | None = dataclasses.field(default=None, compare=False)

    def full_name(self) -> str:
        """Return the path of the run's folder, or the file of records with the run's name.

        A record that was read from no place has its name alone.
        """
        if self.place is None:
            return self.name
        return f"{self.place}/{self.name}" if self.place.suffix == ".jsonl" else str(self.place)


def read_runs(path: str | os.PathLike) -> list[RunRecord]:
    """Read the record in a run's folder, or all records in a `.jsonl` file.

    Raises:
        ValueError: If a folder holds no finished run, or a line no record.
    """
    path = pathlib.Path(path)
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        return [_read_line(line, path, number) for number, line in enumerate(lines, 1) if line]
    return [read_folder(path)]


def read_folder(folder: str | os.PathLike) -> RunRecord:
    """Read the record in a run's folder, or in the folder of a run's preset.

    Raises:
        ValueError: If the folder holds no finished run.
    """
    folder = pathlib.Path(folder)
    if folder.name == "preset" and (folder.parent / RECORD).is_file():
        folder = folder.parent
    records = [folder / name for name in (RECORD, METRICS)]
    if not all(record.is_file() for record in records):
        raise ValueError(
            "A run must be in a .jsonl file of records, or a folder that `attnzoo train` has "
            f"finished. Received: run={folder}"
        )
    recipe, training = (json.loads(record.read_text(encoding="utf-8")) for record in records)
    others = (path for path in sorted(folder.glob("*.json")) if path.name not in (RECORD, METRICS))
    evaluations = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in others}
    return RunRecord(
        folder.name, recipe, training, evaluations, _read_history(folder / HISTORY), place=folder
    )


def to_line(record: RunRecord) -> str:
    """Return a record as one line of JSON, without its place."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    del fields["place"]
    if not record.note:
        del fields["note"]
    return json.dumps(fields, ensure_ascii=False)


def write_folder(record: RunRecord, folder: str | os.PathLike) -> None:
    """Write a record as the files of `attnzoo train` and `attnzoo evaluate`.

    Args:
        record: The record of a run.
        folder: Parent folder; the record is written to a new folder in it, with the run's name.
    """
    folder = pathlib.Path(folder) / record.name
    folder.mkdir(parents=True)
    texts = {RECORD: record.recipe, METRICS: record.training}
    texts.update({f"{name}.json": found for name, found in record.evaluations.items()})
    for name, found in texts.items():
        (folder / name).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if record.history is not None:
        with open(folder / HISTORY, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(record.history)
            for row in zip(*record.history.values(), strict=True):
                writer.writerow(["NA" if value is None else value for value in row])


def _read_line(line, path, number) -> RunRecord:
    try:
        record = RunRecord(**json.loads(line), place=path)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Each line of a file of records must be the record of a run. Received: {path}, line "
            f"{number}: {error}"
        ) from error
    return record


def _read_history(path) -> dict | None:
    """Return the columns of a history.csv, or None if there is no such file."""
    from attnzoo.training.history import read_history

    if not path.is_file():
        return None
    names, rows = read_history(path)
    return {name: [_number(row[name]) for row in rows] for name in names}


def _number(text: str):
    if text == "NA":
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)

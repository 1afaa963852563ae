"""What Keras's `CSVLogger` has written down, read back."""

import csv
import os


def read_history(path: str | os.PathLike):
    """The names of the columns, and a dict of text for each whole line.

    A line that a kill has cut short is left out.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        # Such a line has empty fields at its end.
        rows = [row for row in reader if None not in row.values() and row["epoch"]]
    return names, rows


def logged_number(text: str) -> float:
    """A field as a number; NaN where nothing was logged."""
    return float("nan") if text == "NA" else float(text)

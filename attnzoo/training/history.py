"""The history file that Keras's `CSVLogger` writes."""

import csv
import os


def read_history(path: str | os.PathLike):
    """Return the names of the columns, and a dict of strings for each complete line.

    An incomplete line, written by a killed process, is left out.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        # An incomplete line has empty fields at its end.
        rows = [row for row in reader if None not in row.values() and row["epoch"]]
    return names, rows


def logged_number(text: str) -> float:
    """Return a field as a number; NaN if nothing was logged."""
    return float("nan") if text == "NA" else float(text)

"""The folder of a run of `attnzoo train`: its record, its metrics and its preset."""

import json
import math
import os
import pathlib
import shutil
from typing import TYPE_CHECKING

from attnzoo.cli.run_records import HISTORY, METRICS, RECORD
from attnzoo.cli.settings import Settings, of_record

if TYPE_CHECKING:
    import keras


def check_folder(output: pathlib.Path, settings: Settings, overwrite: bool):
    """Raise unless the run folder is new, has the same settings, or may be overwritten."""
    record = output / RECORD
    if not output.exists() or not any(output.iterdir()):
        return
    if not record.exists():
        raise ValueError(f"The run folder must be new or a run's. Received: output={output}")
    if overwrite:
        return
    held = of_record(json.loads(record.read_text()))
    wanted = json.loads(json.dumps(settings.as_options()))
    different = sorted(name for name in wanted if name in held and held[name] != wanted[name])
    if different:
        raise ValueError(
            f"The run folder holds a run that differs in {different}; choose another folder, "
            f"or --overwrite it. Received: output={output}"
        )


def claim_folder(output: pathlib.Path, settings: Settings, overwrite: bool):
    """Make the run folder, after removing an old run if it may be overwritten."""
    if overwrite and (output / RECORD).exists():
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / RECORD).write_text(json.dumps(settings.as_options(), indent=2) + "\n")


def write_metrics(
    output: pathlib.Path, settings: Settings, task: "keras.Model", seconds: float, last: float
):
    """Write the data of a run for the leaderboard, without evaluations.

    Args:
        output: The run folder.
        settings: Settings of the run.
        task: The trained task.
        seconds: Duration of training over all restarts; NaN if unknown.
        last: Duration since the last start.
    """
    import keras

    attention = getattr(task.backbone, "attention", None)
    with open(output / HISTORY) as history:
        epochs = sum(1 for _ in history) - 1
    metrics = {
        "backend": keras.backend.backend(),
        "parameters": task.count_params(),
        "seconds": None if math.isnan(seconds) else round(seconds, 1),
        "seconds_since_last_start": round(last, 1),
        "epochs": epochs,
    }
    if settings.kind.preset is not None and attention is not None:  # Otherwise the record has it.
        name = attention if isinstance(attention, str) else type(attention).__name__
        metrics["attention"] = name
    (output / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")


def save_preset(task: "keras.Model", preset: pathlib.Path):
    """Save a preset atomically: the folder is either missing or complete."""
    partial = preset.with_name("preset.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    task.save_to_preset(str(partial))
    os.replace(partial, preset)

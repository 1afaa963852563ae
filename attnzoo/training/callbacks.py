"""Backup and restoration of training, so that a killed process can resume."""

import csv
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from attnzoo.training.history import logged_number, read_history


class TrainingBackup(keras.callbacks.Callback):
    """Writes a complete backup of training to one file, atomically, after each epoch.

    The file holds every variable of the model and of its optimizer: weights, moments, step counter,
    random states. It is written to a temporary file, which then replaces the old backup, so a
    process that is killed at any moment leaves a complete backup. Resumed training gives the same
    result as uninterrupted training if the data's order depends on seed and epoch alone, as in
    `attnzoo.data.BucketedBatches`.

    `seconds` is the duration of all epochs in the backup, over all processes; work lost by a kill
    is not counted. It is NaN if a backup of an older version has no duration.

    Differs from `keras.callbacks.BackupAndRestore`, which saves no random states, and writes
    weights and epoch to two files, which may disagree after a kill.

    Place it last in the list of callbacks. The state of earlier callbacks (`EarlyStopping`, and
    `ModelCheckpoint` with `save_best_only`) is restored from the history file.

    Args:
        path: The backup file, `.npz`.
        history_path: The file of a `keras.callbacks.CSVLogger` with `append=True`.
        callbacks: Callbacks whose state is restored: `EarlyStopping`s and `ModelCheckpoint`s, made
            with `mode="min"` or `"max"`.
        swap: The `keras.callbacks.SwapEMAWeights` with `swap_on_epoch=True`, or None. Place it
            before the callbacks that use the averages. The backup has the weights themselves, and
            the next epoch begins with them.

    Raises:
        ValueError: If a callback's `mode` is "auto", which Keras resolves too late.

    Example:
        >>> stopping = keras.callbacks.EarlyStopping(patience=3)
        >>> backup = attnzoo.training.TrainingBackup("backup.npz", "history.csv", [stopping])
        >>> batches.epoch = epoch = backup.restore(task)  # 0 where there is nothing to restore
        >>> history = keras.callbacks.CSVLogger("history.csv", append=True)
        >>> task.fit(batches, epochs=20, initial_epoch=epoch, shuffle=False,
        ...          callbacks=[history, stopping, backup])
    """

    def __init__(
        self,
        path: str | os.PathLike,
        history_path: str | os.PathLike,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        *,
        swap: keras.callbacks.SwapEMAWeights | None = None,
    ):
        super().__init__()
        self.path = pathlib.Path(path)
        self.history_path = pathlib.Path(history_path)
        self.callbacks = list(callbacks)
        self.swap = swap
        for callback in self.callbacks:
            if callback.mode not in ("min", "max"):
                raise ValueError(
                    '`callbacks` must be made with `mode="min"` or `mode="max"`. '
                    f"Received: {type(callback).__name__} of {callback.monitor!r} without it"
                )
        self.past: list[dict] = []
        self.seconds = 0.0

    def restore(self, model: keras.Model) -> int:
        """Restore a compiled model to its state when the backup was written.

        Args:
            model: The model, built and compiled as before the backup.

        Returns:
            The epoch to resume with; 0 if there is no backup.

        Raises:
            ValueError: If the backup is of another model.
        """
        self.set_model(model)
        if not self.path.exists():
            self.history_path.unlink(missing_ok=True)
            return 0
        epoch = self._load()
        self.past = self._cut_history(epoch)
        return epoch

    def on_train_begin(self, logs: dict | None = None):
        if self.path.exists():
            self._load()  # Again: Keras may have built the model since, and drawn from its seeds.
        self._start = time.monotonic() - self.seconds
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.ModelCheckpoint):
                values = [logs[callback.monitor] for logs in self.past]
                if values:
                    callback.best = min(values) if callback.mode == "min" else max(values)
            else:
                for epoch, logs in enumerate(self.past):
                    callback.on_epoch_end(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None):
        if self.swap is not None:
            self.swap.on_epoch_begin(epoch + 1)  # Swaps the weights back.
        values = {
            f"variable_{i}": ops.convert_to_numpy(variable)
            for i, variable in enumerate(self._variables())
        }
        states = {f"random_state_{i}": one for i, one in enumerate(_torch_random_states())}
        partial = self.path.with_suffix(".tmp.npz")
        self.seconds = time.monotonic() - self._start
        facts = {"epoch": epoch + 1, "count": len(values), "seconds": self.seconds}
        arrays: dict[str, Any] = {**facts, **values, **states}
        np.savez(partial, **arrays)
        os.replace(partial, self.path)

    def _load(self) -> int:
        """Assign the values in the backup, and return its epoch."""
        self.model.optimizer.build(self.model.trainable_variables)
        variables = self._variables()
        with np.load(self.path) as saved:
            epoch = int(saved["epoch"])
            seconds = float(saved["seconds"]) if "seconds" in saved else math.nan
            values = [saved[f"variable_{i}"] for i in range(int(saved["count"]))]
            states = [saved[f"random_state_{i}"] for i in range(len(_torch_random_states()))]
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
            raise ValueError(
                "The backup is of another model: remove it, or build that model. "
                f"Received: path={os.fspath(self.path)!r}, with {len(values)} variables where the "
                f"model has {len(variables)}, or of other shapes"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.seconds = seconds
        _set_torch_random_states(states)
        return epoch

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def _cut_history(self, epoch):
        """Drop the logs of epochs that will be repeated, and return the others."""
        if not self.history_path.exists():
            return []
        names, rows = read_history(self.history_path)
        rows = [row for row in rows if int(row["epoch"]) < epoch]
        with open(self.history_path, "w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        return [{name: logged_number(row[name]) for name in names} for row in rows]


def _torch_random_states() -> list[np.ndarray]:
    """Return the states of torch's generators, which Keras's dropout uses on torch."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states += torch.cuda.get_rng_state_all()
    return [state.numpy() for state in states]


def _set_torch_random_states(states):
    if not states:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states[0]))
    if len(states) > 1:
        torch.cuda.set_rng_state_all([torch.from_numpy(state) for state in states[1:]])

"""Averages of checkpoints."""

import math
import os
import pathlib
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

_ENDING = ".weights.h5"


class BestCheckpoints(keras.callbacks.Callback):
    """Keeps the weights of the best epochs, or of the last ones, for `average_checkpoints`.

    An epoch's file is named by its number, from 0, and its value: `epoch_0003_0.8125.weights.h5`.
    An epoch whose value is NaN has no file. The checkpoints are those in the folder, so that
    resumed training finds them too: an epoch that is repeated replaces its own file, and training
    from the start clears the folder.

    A file that is no longer among the best is deleted when the next epoch begins. Until then a
    backup, such as that of `TrainingBackup`, may still be of the previous epoch.

    Args:
        folder: Folder of the files. It is made if it does not exist.
        keep: k, the number of epochs to keep. At least 1.
        monitor: The logged value that ranks epochs, such as "val_loss"; None keeps the last epochs.
        mode: "min" if small values are best, "max" if large ones are.

    Raises:
        ValueError: If `keep` or `mode` is outside its range, or `monitor` is not among an epoch's
            logs.

    Example:
        >>> checkpoints = attnzoo.training.BestCheckpoints("runs/mine/checkpoints", keep=5)
        >>> task.fit(batches, validation_data=dev_batches, epochs=20, callbacks=[checkpoints])
        >>> attnzoo.training.average_checkpoints(task, checkpoints.paths)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        keep: int = 5,
        monitor: str | None = "val_loss",
        mode: str = "min",
    ):
        super().__init__()
        if keep < 1:
            raise ValueError(f"`keep` must be at least 1. Received: keep={keep}")
        if mode not in ("min", "max"):
            raise ValueError(f'`mode` must be "min" or "max". Received: mode={mode!r}')
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.monitor = monitor
        self.mode = mode

    @property
    def paths(self) -> list[pathlib.Path]:
        """Return the files of the best epochs so far, at most k, the best first."""
        return sorted(self._files(), key=self._rank)[: self.keep]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None):
        for path in self._files():
            if _read_name(path)[0] >= epoch:  # The epoch is repeated.
                path.unlink()
        self._prune()

    def on_epoch_end(self, epoch: int, logs: dict | None = None):
        logs, value = logs or {}, 0.0
        if self.monitor is not None:
            if self.monitor not in logs:
                raise ValueError(
                    "`monitor` must be among the logs of an epoch: "
                    f"{sorted(logs)}. Received: monitor={self.monitor!r}"
                )
            value = float(logs[self.monitor])
        if math.isnan(value):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(self.folder / f"epoch_{epoch:04d}_{value!r}{_ENDING}")

    def on_train_end(self, logs: dict | None = None):
        self._prune()

    def _files(self):
        return list(self.folder.glob(f"epoch_[0-9]*_*{_ENDING}"))

    def _prune(self):
        for path in set(self._files()) - set(self.paths):
            path.unlink()

    def _rank(self, path):
        """Return the key that sorts the best first; a tie goes to the later epoch."""
        epoch, value = _read_name(path)
        return (value if self.mode == "min" else -value, -epoch)


def average_checkpoints(model: keras.Model, paths: Iterable[str | os.PathLike]) -> None:
    """Set a model's weights to the mean of the weights of several checkpoints.

        weight = 1 / k * (weight of checkpoint 1 + ... + weight of checkpoint k)

    Args:
        model: A built model with the architecture of the checkpoints.
        paths: k files from `model.save_weights`. At least one. State that is no weight, such as
            that of a random generator, comes from the last file.

    Raises:
        ValueError: If there are no paths, or the model is quantized.

    Example:
        >>> attnzoo.training.average_checkpoints(task, sorted(pathlib.Path("runs/x").glob("*.h5")))
        >>> task.save_to_preset("runs/averaged")

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 6.1.
    """
    paths = [os.fspath(path) for path in paths]
    if not paths:
        raise ValueError("`paths` must hold at least one checkpoint. Received: paths=[]")
    dtypes = [keras.backend.standardize_dtype(weight.dtype) for weight in model.weights]
    if "int8" in dtypes:
        raise ValueError("`model` must not be quantized: average first. Received: int8 weights")
    weights = [w for w, dtype in zip(model.weights, dtypes, strict=True) if "float" in dtype]
    sums = [np.zeros(weight.shape, "float64") for weight in weights]
    for path in paths:
        model.load_weights(path)
        for total, weight in zip(sums, weights, strict=True):
            total += ops.convert_to_numpy(ops.cast(weight, "float32"))
    for total, weight in zip(sums, weights, strict=True):
        weight.assign(total / len(paths))


def _read_name(path: pathlib.Path) -> tuple[int, float]:
    """Return the epoch and the value in the name of a file."""
    _, epoch, value = path.name.removesuffix(_ENDING).split("_")
    return int(epoch), float(value)

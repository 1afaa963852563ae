"""The table of formats, and the import by a format's name."""

import dataclasses
import importlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from attnzoo.importing.files import read_weights


@dataclasses.dataclass(frozen=True)
class WeightFormat:
    """One kind of weights.

    Args:
        summary: Whose weights they are, in a line.
        function: Module and name of the function of weights by name, and options, to a task.
        options: The type of each option of the function.
    """

    summary: str
    function: str
    options: Mapping[str, type] = dataclasses.field(default_factory=dict)

    def make_task(self, weights: Mapping[str, np.ndarray], **options) -> Any:
        """Return the task with these weights."""
        module, name = self.function.split(":")
        return getattr(importlib.import_module(module), name)(weights, **options)


FORMATS: dict[str, WeightFormat] = {
    "hat": WeightFormat(
        "super-resolution: HAT, HAT-S, HAT-L and others of github.com/XPixelGroup/HAT",
        "attnzoo.importing.hat:import_hat",
        {"convolution_scale": float},
    ),
    "botnet26t_256": WeightFormat(
        "classification: the BoTNet botnet26t_256 of timm",
        "attnzoo.importing.timm:import_botnet26t",
    ),
    "sebotnet33ts_256": WeightFormat(
        "classification: the BoTNet with squeeze-and-excitation sebotnet33ts_256 of timm",
        "attnzoo.importing.timm:import_sebotnet33ts",
    ),
}


def import_weights(format: str, weights: str | os.PathLike | Mapping[str, Any], **options):
    """Return a task with the weights of another package.

    Args:
        format: A name of `FORMATS`.
        weights: The weights by name, or the path of a file of them: see `read_weights`.
        **options: Options of the format: for `"hat"` `convolution_scale`, 0.01 if not given.

    Returns:
        A new task: for `"hat"` a `HATSuperResolution`, for the others a `BoTNetImageClassifier`.
        `save_to_preset` keeps it.

    Raises:
        ValueError: If the format or an option is unknown, the file cannot be read, or the weights
            are not of this format.

    Example:
        >>> task = attnzoo.importing.import_weights("hat", "HAT_SRx4.pth")
        >>> task.predict("small.png")
    """
    from attnzoo.checks import check_choice  # Not above: the table of formats needs no Keras.

    check_choice(tuple(FORMATS), format=format)
    chosen = FORMATS[format]
    unknown = sorted(set(options) - set(chosen.options))
    if unknown:
        raise ValueError(
            f"Options of the format {format!r} must be among {[*chosen.options]}. "
            f"Received: {unknown}"
        )
    if not isinstance(weights, Mapping):
        weights = read_weights(weights)
    return chosen.make_task(weights, **options)

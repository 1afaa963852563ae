"""Options of epochs, the loss, and the choice of the best epoch."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from attnzoo.cli.settings.option import Options, at_least, option

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Training(Options):
    """Training"""

    default_monitor: ClassVar[str] = "loss"

    epochs: int = option(20, "most passes over the training data", limit=at_least(1))
    label_smoothing: float = option(0.0, "probability spread evenly over the vocabulary")
    monitor: str | None = option(
        None,
        "the metric on dev that selects the best epoch; by default accuracy for classes and tags, "
        "else loss",
        choices=("loss", "accuracy"),
    )
    average: int = option(
        1, "number of best epochs whose mean weights are saved", limit=at_least(1)
    )
    patience: int = option(5, "stop after this many epochs without improvement on dev")
    mixed_precision: bool = option(False, "compute in bfloat16")
    seed: int = option(0, "seed of weights, order and dropout")

    @property
    def dtype(self) -> str | None:
        """The precision; None is Keras's default."""
        return "mixed_bfloat16" if self.mixed_precision else None

    @property
    def monitored(self) -> tuple[str, str]:
        """The name of the monitored value in a history, and "min" or "max"."""
        monitor = self.monitor or self.default_monitor
        return f"val_{monitor}", "max" if monitor == "accuracy" else "min"

    def is_over(self, past: Sequence[dict]) -> bool:
        """Return whether these epochs' logs already led to an early stop."""
        monitor, mode = self.monitored
        values = [logs[monitor] for logs in past]
        if not values:
            return False
        best = min(values) if mode == "min" else max(values)
        return len(values) - 1 - values.index(best) >= self.patience

    def compile_arguments(self) -> dict:
        """Return the arguments of `compile` besides the optimizer."""
        return {"label_smoothing": self.label_smoothing}

    def schedules(self, task: "keras.Model") -> list:
        """Return callbacks for values that change from epoch to epoch."""
        return []


@dataclasses.dataclass(frozen=True)
class ClassifierTraining(Training):
    """Training of classes and tags"""

    default_monitor: ClassVar[str] = "accuracy"


@dataclasses.dataclass(frozen=True)
class Seq2SeqTraining(Training):
    """Training from texts to texts"""

    sampling_probability: float = option(
        0.0,
        "scheduled sampling: probability that the model's own token replaces the given one, "
        "rising linearly from 0 in the first epoch to this in the last",
    )

    def compile_arguments(self) -> dict:
        sampling = {"sampling_probability": self.sampling_probability or None}
        return {**super().compile_arguments(), **sampling}

    def schedules(self, task: "keras.Model") -> list:
        from attnzoo.training import VariableSchedule, linear_decay

        if task.sampling_probability is None:
            return []
        highest = self.sampling_probability
        rising = linear_decay(highest / max(1, self.epochs - 1), floor=1.0 - highest)
        return [VariableSchedule(task.sampling_probability, rising)]


@dataclasses.dataclass(frozen=True)
class RNNSeq2SeqTraining(Seq2SeqTraining):
    """Training with coverage"""

    coverage_loss: float = option(
        0.0, "weight of the coverage loss, for an attention with coverage"
    )

    def compile_arguments(self) -> dict:
        coverage = {"coverage_loss": self.coverage_loss} if self.coverage_loss else {}
        return {**super().compile_arguments(), **coverage}

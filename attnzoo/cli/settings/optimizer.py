"""Options of the optimizer and its learning rate."""

import dataclasses
from typing import TYPE_CHECKING

from attnzoo.cli.settings.option import RATE, Options, at_least, option

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Optimizer(Options):
    """Optimizer"""

    learning_rate: float = option(2e-3, "highest rate")
    schedule: str = option(
        "cosine",
        "the rate after the warm-up; a cosine takes it to zero over all epochs",
        choices=("constant", "inverse_sqrt", "cosine"),
    )
    warmup: float = option(
        0.02,
        "length of the warm-up: a share of all steps if below 1, else a number of steps",
        limit=at_least(0),
    )
    accumulate: int = option(
        1,
        "number of batches whose gradients are averaged for one step; all have the same weight, "
        "however many tokens it has",
        limit=at_least(1),
    )
    weight_decay: float = option(
        0.0,
        "share of the weights, times the rate, that a step subtracts; biases and norms are exempt",
        limit=at_least(0),
    )
    gradient_clip: float = option(
        1.0, "largest norm of the gradient of all weights; 0 is no limit", limit=at_least(0)
    )
    ema: float = option(
        0.0,
        "evaluate and save an exponential moving average of the weights with this momentum",
        limit=RATE,
    )

    def make(self, task: "keras.Model", steps: int):
        """Return an Adam optimizer for `steps` batches."""
        import keras

        optimizer = keras.optimizers.Adam(
            self.make_rate(steps),
            weight_decay=self.weight_decay or None,
            global_clipnorm=self.gradient_clip or None,
            gradient_accumulation_steps=self.accumulate if self.accumulate > 1 else None,
            use_ema=self.ema > 0.0,
            # Keras updates the average after each batch, even if the batch makes no step.
            ema_momentum=self.ema ** (1 / self.accumulate),
        )
        biases = [weight for weight in task.trainable_variables if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(biases)
        return optimizer

    def make_rate(self, steps: int):
        """Return the rate as a function of the batch; as in Keras, a step here is a batch."""
        import keras

        from attnzoo.training import InverseSquareRootDecay

        warmup = self.warmup * (steps if self.warmup < 1 else self.accumulate)
        warmup = max(1, int(warmup))
        if self.schedule == "inverse_sqrt":
            return InverseSquareRootDecay(self.learning_rate, warmup_steps=warmup)
        return keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, steps - warmup),
            alpha=1.0 if self.schedule == "constant" else 0.0,  # The final share of the rate.
            warmup_target=self.learning_rate,
            warmup_steps=warmup,
        )

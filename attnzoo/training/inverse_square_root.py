"""The learning rate schedule of the original Transformer."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class InverseSquareRootDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises linearly and then falls with the square root of the step.

        rate(t) = peak * min(t / warmup, sqrt(warmup / t))    for t = 1, 2, ...

    The paper's `D ** -0.5 * min(t ** -0.5, t * warmup ** -1.5)` is the same with a peak of `(D *
    warmup) ** -0.5`. The schedule does not depend on the total number of steps; Keras's own
    `CosineDecay(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)` does.

    An optimizer that accumulates gradients over N batches counts batches, not steps: make
    `warmup_steps` N times as large.

    Args:
        peak: The highest rate, at the end of the warm-up. Above 0.
        warmup_steps: Length of the warm-up, in steps. At least 1.

    Call arguments:
        step: int scalar. Number of steps before this one: t - 1.

    Returns:
        float32 scalar. The rate, above 0.

    Raises:
        ValueError: If `peak` or `warmup_steps` is outside its range.

    Example:
        >>> rate = attnzoo.training.InverseSquareRootDecay(1e-3, warmup_steps=4000)
        >>> task.compile(optimizer=keras.optimizers.Adam(rate, beta_2=0.98, epsilon=1e-9))

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 5.3.
    """

    def __init__(self, peak: float, *, warmup_steps: int) -> None:
        super().__init__()
        if not 0.0 < peak < math.inf:
            raise ValueError(f"`peak` must be above 0, and finite. Received: peak={peak}")
        if warmup_steps < 1:
            raise ValueError(
                f"`warmup_steps` must be at least 1. Received: warmup_steps={warmup_steps}"
            )
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        progress = (ops.cast(step, "float32") + 1.0) / self.warmup_steps  # t / warmup
        return self.peak * ops.minimum(progress, ops.rsqrt(progress))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}

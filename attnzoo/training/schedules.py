"""A callback that sets a variable by a schedule, and the schedules of scheduled sampling."""

import math
from collections.abc import Callable

import keras


class VariableSchedule(keras.callbacks.Callback):
    """Sets a variable, such as a temperature or sampling probability, at the start of each epoch.

    Args:
        variable: A `keras.Variable` of the model. A layer makes its variables when it is built.
        schedule: Function of the epoch, from 0, to the variable's value: a finite number in the
            variable's range. The values of all epochs are checked before training begins.

    Raises:
        ValueError: If `variable` is no Keras variable, or `schedule` is not callable; when training
            begins, if `schedule` leaves the variable's range.

    Example:
        >>> attention = attnzoo.layers.HardAttention("additive", units=7, estimator="gumbel")
        >>> outputs = attention(query, memory)  # Now the variable is there.
        >>> cooling = attnzoo.training.VariableSchedule(
        ...     attention.temperature, lambda epoch: max(0.5, 0.9**epoch))
        >>> model.fit(inputs, targets, epochs=20, callbacks=[cooling])
    """

    def __init__(self, variable: keras.Variable, schedule: Callable[[int], float]):
        super().__init__()
        if not isinstance(variable, keras.Variable):
            raise ValueError(
                "`variable` must be a `keras.Variable`; layers make theirs when they are built, "
                "and tasks at `compile(sampling_probability=...)`. "
                f"Received: variable={variable!r}"
            )
        if not callable(schedule):
            raise ValueError(
                "`schedule` must be a function of the epoch to a value. "
                f"Received: schedule={schedule!r}"
            )
        self.variable = variable
        self.schedule = schedule

    def on_train_begin(self, logs: dict | None = None):
        for epoch in range(self.params.get("epochs") or 0):
            self._value(epoch)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None):
        self.variable.assign(self._value(epoch))

    def _value(self, epoch) -> float:
        value = float(self.schedule(epoch))
        allows = getattr(self.variable.constraint, "allows", math.isfinite)
        if not (math.isfinite(value) and allows(value)):
            rule = getattr(self.variable.constraint, "rule", "finite")
            raise ValueError(
                f"`schedule` must give `{self.variable.name}` a value that is {rule}. "
                f"Received: {value} at epoch {epoch}"
            )
        return value


# In Bengio et al. the probability of the *true* token decays. These functions return the
# probability of *sampling*, which is 1 minus that.


def linear_decay(slope: float, *, offset: float = 1.0, floor: float = 0.0):
    """Return the sampling probability for a linear decay of the true token's probability.

        sampling(epoch) = 1 - max(floor, offset - slope * epoch)

    Differs from the paper: it depends on the epoch, not on the batch.

    Args:
        slope: Decrease of the true token's probability in an epoch. At least 0.
        offset: Probability of the true token in the first epoch. From `floor` to 1.
        floor: Smallest probability of the true token. In [0, 1].

    Returns:
        Function of the epoch, from 0, to the probability of sampling in [0, 1].

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> rising = attnzoo.training.linear_decay(0.1, floor=0.75)
        >>> [round(rising(epoch), 2) for epoch in range(5)]
        [0.0, 0.1, 0.2, 0.25, 0.25]

    References:
        [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), section 2.4.
    """
    if not slope >= 0.0:
        raise ValueError(f"`slope` must be at least 0. Received: slope={slope}")
    if not 0.0 <= floor <= offset <= 1.0:
        raise ValueError(
            "`floor` and `offset` must be in [0, 1], `floor` at most `offset`. "
            f"Received: floor={floor}, offset={offset}"
        )
    return lambda epoch: 1.0 - max(floor, offset - slope * epoch)


def exponential_decay(base: float):
    """Return the sampling probability for an exponential decay of the true token's probability.

        sampling(epoch) = 1 - base ** epoch

    Differs from the paper: it depends on the epoch, not on the batch.

    Args:
        base: Factor of the true token's probability in an epoch. Above 0 and below 1.

    Returns:
        Function of the epoch, from 0, to the probability of sampling in [0, 1].

    Raises:
        ValueError: If `base` is outside its range.

    Example:
        >>> rising = attnzoo.training.exponential_decay(0.5)
        >>> [rising(epoch) for epoch in range(4)]
        [0.0, 0.5, 0.75, 0.875]

    References:
        [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), section 2.4.
    """
    if not 0.0 < base < 1.0:
        raise ValueError(f"`base` must be above 0 and below 1. Received: base={base}")
    return lambda epoch: 1.0 - base**epoch


def inverse_sigmoid_decay(pace: float):
    """Return the sampling probability for an inverse sigmoid decay of the true token's probability.

        sampling(epoch) = 1 - pace / (pace + exp(epoch / pace))

    It begins at 1 / (1 + pace), not at 0, and is 0.5 at the epoch pace * log(pace).

    Differs from the paper: it depends on the epoch, not on the batch.

    Args:
        pace: Time scale in epochs: a larger value delays the decay. At least 1.

    Returns:
        Function of the epoch, from 0, to the probability of sampling in [0, 1].

    Raises:
        ValueError: If `pace` is below 1.

    Example:
        >>> rising = attnzoo.training.inverse_sigmoid_decay(4.0)
        >>> [round(rising(epoch), 2) for epoch in (0, 4, 8, 16)]
        [0.2, 0.4, 0.65, 0.93]
        >>> task.compile(sampling_probability=0.0)
        >>> schedule = attnzoo.training.VariableSchedule(task.sampling_probability, rising)
        >>> task.fit(sources, targets, epochs=20, callbacks=[schedule])

    References:
        [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), section 2.4.
    """
    if not 1.0 <= pace < math.inf:
        raise ValueError(f"`pace` must be at least 1, and finite. Received: pace={pace}")
    # The same function, with an exponential that cannot overflow.
    return lambda epoch: 1.0 / (1.0 + pace * math.exp(-epoch / pace))

"""Variables that follow a schedule."""

import keras


class VariableSchedule(keras.callbacks.Callback):
    """Sets a variable at the start of each epoch: a temperature, the probability of sampling.

    Args:
        variable: A `keras.Variable` of the model. Layers make theirs when they are built.
        schedule: Function of the epoch, from 0, to the variable's value.

    Raises:
        ValueError: If `variable` is no Keras variable, or `schedule` cannot be called.

    Example:
        >>> attention = attnzoo.layers.HardAttention("additive", units=7, estimator="gumbel")
        >>> outputs = attention(query, memory)  # Now the variable is there.
        >>> cooling = attnzoo.training.VariableSchedule(
        ...     attention.temperature, lambda epoch: max(0.5, 0.9**epoch))
        >>> model.fit(inputs, targets, epochs=20, callbacks=[cooling])
    """

    def __init__(self, variable, schedule):
        super().__init__()
        if not isinstance(variable, keras.Variable):
            raise ValueError(
                "`variable` must be a `keras.Variable`; layers make theirs when they are built. "
                f"Received: variable={variable!r}"
            )
        if not callable(schedule):
            raise ValueError(
                "`schedule` must be a function of the epoch to a value. "
                f"Received: schedule={schedule!r}"
            )
        self.variable = variable
        self.schedule = schedule

    def on_epoch_begin(self, epoch, logs=None):
        self.variable.assign(self.schedule(epoch))

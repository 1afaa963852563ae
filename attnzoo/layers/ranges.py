"""Ranges of variables that no optimizer moves."""

from collections.abc import Callable

import keras


class Range(keras.constraints.Constraint):
    """A variable's `constraint` that names its range, and changes no value.

    Who sets the variable, such as `attnzoo.training.VariableSchedule`, asks it first.

    Args:
        rule: The range in words, after "must be".
        allows: Function of a number to whether it is in the range.

    Example:
        >>> Range("above 0", lambda value: value > 0.0).allows(0.0)
        False
    """

    def __init__(self, rule: str, allows: Callable[[float], bool]):
        self.rule = rule
        self.allows = allows

    def __call__(self, value):
        return value

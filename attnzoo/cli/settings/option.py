"""An option of `attnzoo train`: a field of a dataclass, with help, limit and choices."""

import dataclasses
import inspect
import math
import typing
from collections.abc import Callable

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "a mapping from names to values",
}


@dataclasses.dataclass(frozen=True)
class Limit:
    """A range of numbers.

    Args:
        rule: The range in words, as they follow "must be".
        holds: Function that returns whether a number is in the range.
    """

    rule: str
    holds: Callable[[float], bool]


def at_least(least: int) -> Limit:
    """Return the range of numbers that are at least `least`."""
    return Limit(f"at least {least}", lambda value: value >= least)


RATE = Limit("in [0, 1)", lambda value: 0.0 <= value < 1.0)
SHARE = Limit("in (0, 1]", lambda value: 0.0 < value <= 1.0)
ABOVE_ZERO = Limit("above 0, and finite", lambda value: 0.0 < value < math.inf)


def option(
    default: object,
    help: str,
    *,
    limit: Limit | None = None,
    choices: tuple[str, ...] | None = None,
):
    """Return a field of an `Options` dataclass.

    Args:
        default: The value if none is given.
        help: The text in `attnzoo train --help`.
        limit: The range of a number.
        choices: The allowed values of a string.
    """
    metadata = {"help": help, "limit": limit, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """Base of a group of options. Each is a field from `option`; the constructor checks all."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))


def own_fields(group: type[Options]) -> list[dataclasses.Field]:
    """Return the options that a group declares, without those of its bases."""
    own = inspect.get_annotations(group)
    return [field for field in dataclasses.fields(group) if field.name in own]


def value_type(field: dataclasses.Field) -> type:
    """Return the type of an option's values, other than None."""
    kinds = [kind for kind in typing.get_args(field.type) if kind is not type(None)]
    return kinds[0] if kinds else typing.cast(type, field.type)


def as_flag(name: str) -> str:
    """Return an option's name on the command line."""
    return f"--{name.replace('_', '-')}"


def check_value(field: dataclasses.Field, value: object):
    """Raise unless a value has the option's type, is among its choices and within its limit."""
    name, kind = field.name, value_type(field)
    if value is None and type(None) in typing.get_args(field.type):
        return
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"`{name}` must be {_KINDS[kind]}. Received: {name}={value!r}")
    choices, limit = field.metadata["choices"], field.metadata["limit"]
    if choices is not None and value not in choices:
        raise ValueError(f"`{name}` must be one of {list(choices)}. Received: {name}={value!r}")
    if limit is not None and not limit.holds(value):
        raise ValueError(f"`{name}` must be {limit.rule}. Received: {name}={value!r}")

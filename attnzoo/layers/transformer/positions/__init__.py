"""POSITIONS: how a transformer knows what stands where."""

import keras

from attnzoo.layers.base import constructor_arguments
from attnzoo.layers.transformer.positions.alibi import AlibiPosition
from attnzoo.layers.transformer.positions.base import Position
from attnzoo.layers.transformer.positions.learned import LearnedPosition
from attnzoo.layers.transformer.positions.relative import RelativePosition
from attnzoo.layers.transformer.positions.rotary import RotaryPosition
from attnzoo.layers.transformer.positions.sinusoidal import SinusoidalPosition
from attnzoo.layers.transformer.positions.t5 import T5Position

POSITIONS = {
    "none": Position,
    "sinusoidal": SinusoidalPosition,
    "learned": LearnedPosition,
    "rotary": RotaryPosition,
    "relative": RelativePosition,
    "t5": T5Position,
    "alibi": AlibiPosition,
}

# What the layer around a position knows. Each method takes of these what it needs.
OFFERED = ("num_heads", "key_dim", "value_dim", "max_length", "bidirectional")


def get_position(position, **arguments) -> Position:
    """Make a position from its name and sizes, or hand through an instance.

    Whoever asks offers all that it knows, for every method alike; `None` offers nothing:

        get_position(position, num_heads=8, key_dim=32, max_length=512, bidirectional=False)

    Args:
        position: A `Position`, its serialized form, one of the names in `POSITIONS`, or None, which
            is `"none"`.
        **arguments: `num_heads`, `key_dim`, `value_dim`, `max_length` (the longest sequence there
            will be, in tokens) and `bidirectional` are taken where they are needed. Others go to
            the constructor, by name only.

    Raises:
        ValueError: If the name is unknown, arguments of the constructor come with an instance, or
            the sizes offered do not suit the method (see its `check_sizes`).

    Example:
        >>> get_position("alibi", num_heads=7, key_dim=5)
        <AlibiPosition name=alibi_position, built=False>
    """
    arguments = {name: value for name, value in arguments.items() if value is not None}
    position = "none" if position is None else position
    if isinstance(position, str):
        if position not in POSITIONS:
            raise ValueError(
                f"`position` must be None or one of {sorted(POSITIONS)}. "
                f"Received: position={position!r}"
            )
        cls = POSITIONS[position]
        takes = constructor_arguments(cls)
        made = cls(**{k: v for k, v in arguments.items() if k in takes or k not in OFFERED})
        made.check_sizes(**{k: v for k, v in arguments.items() if k in OFFERED})
        return made
    given = {k: v for k, v in arguments.items() if k not in (*OFFERED, "name", "dtype")}
    if given:
        raise ValueError(
            "A position's own arguments go with a position *name*; an instance has them already. "
            f"Received: position={position!r} with {given}"
        )
    if isinstance(position, dict):
        position = keras.saving.deserialize_keras_object(position)
    if not isinstance(position, Position):
        raise ValueError(
            f"`position` must be a `Position`, None or one of {sorted(POSITIONS)}. "
            f"Received: position={position!r}"
        )
    position.check_sizes(**{k: v for k, v in arguments.items() if k in OFFERED})
    return position


__all__ = [
    "POSITIONS",
    "AlibiPosition",
    "LearnedPosition",
    "Position",
    "RelativePosition",
    "RotaryPosition",
    "SinusoidalPosition",
    "T5Position",
    "get_position",
]

"""Scores, positions and attentions by name, from a config, or as they are.

The tables of names are imported inside the functions: they hold the layers that call these.
"""

import keras

from attnzoo.checks import check_choice
from attnzoo.layers.base import constructor_arguments

# The sizes that the layer around a position knows. Each position takes those that it needs.
_OFFERED = ("num_heads", "key_dim", "value_dim", "max_length", "bidirectional")


def get_score(score, **arguments):
    """Make a score from its name and its own arguments, or return an instance as it is.

    Args:
        score: A `Score`, its serialized form, or one of the names in `SCORES`.
        **arguments: Arguments of the named score's constructor.

    Raises:
        ValueError: If the name is unknown or lacks an argument, or arguments come with an instance.
    """
    from attnzoo.layers.names import SCORES, Score

    if isinstance(score, str):
        cls = score_class(score)
        for name, parameter in constructor_arguments(cls).items():
            if parameter.default is parameter.empty and arguments.get(name) is None:
                raise ValueError(
                    f"`score={score!r}` needs `{name}`: give it beside the name, or give a "
                    f"`{cls.__name__}({name}=...)`. Received: {name}=None"
                )
        takes = {*constructor_arguments(cls), "name", "dtype", "trainable"}
        unknown = sorted(set(arguments) - takes)
        if unknown:
            raise ValueError(
                f"Beside its own arguments an attention takes those of `score={score!r}`, "
                f"{sorted(takes)}. Received: {', '.join(unknown)}"
            )
        return cls(**arguments)
    return _as_instance("score", score, Score, SCORES, _without(arguments, "name", "dtype"))


def score_class(name: str):
    """Return the class of scores of this name.

    Raises:
        ValueError: If the name is unknown.
    """
    from attnzoo.layers.names import SCORES

    check_choice(sorted(SCORES), score=name)
    return SCORES[name]


def get_position(position, **arguments):
    """Make a position from its name and sizes, or return an instance as it is.

    The caller offers all the sizes that it knows, for every method alike; `None` offers nothing:

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
    from attnzoo.layers.names import POSITIONS, Position

    arguments = {name: value for name, value in arguments.items() if value is not None}
    position = "none" if position is None else position
    offered = {name: value for name, value in arguments.items() if name in _OFFERED}
    if isinstance(position, str):
        cls = position_class(position)
        takes = constructor_arguments(cls)
        made = cls(**{k: v for k, v in arguments.items() if k in takes or k not in _OFFERED})
    else:
        own = _without(arguments, *_OFFERED, "name", "dtype")
        made = _as_instance("position", position, Position, POSITIONS, own, none=True)
    made.check_sizes(**offered)
    return made


def position_class(position):
    """Return the class of positions of this name, or of an instance.

    Raises:
        ValueError: If the name is unknown.
    """
    from attnzoo.layers.names import POSITIONS

    if not isinstance(position, str):
        return type(position)
    if position not in POSITIONS:
        raise ValueError(
            f"`position` must be None or one of {sorted(POSITIONS)}. "
            f"Received: position={position!r}"
        )
    return POSITIONS[position]


def get_attention(attention, units: int, **arguments):
    """Make an attention from its name, or return an instance as it is.

    Args:
        attention: An `Attention`, its serialized form, or one of the names in `ATTENTIONS`.
        units: Width that a named mechanism gets where it needs one, in features.
        **arguments: Name, dtype and further arguments for a named mechanism; they replace those
            that the name stands for.

    Raises:
        ValueError: If the name is unknown.
    """
    from attnzoo.layers.names import ATTENTIONS, Attention

    if isinstance(attention, str) and attention in ATTENTIONS:
        cls, named = ATTENTIONS[attention]
        named = named(units)
        if "score" in arguments:
            named = _without(named, "units")
        if "num_heads" in arguments and "key_dim" in named:
            named = {**named, "key_dim": max(1, units // arguments["num_heads"])}
        return cls(**{**named, **arguments})
    return _as_instance("attention", attention, Attention, ATTENTIONS)


def _as_instance(kind: str, layer, base, table: dict, arguments: dict | None = None, none=False):
    """Return a layer as it is, or made from its serialized form."""
    article = "An" if kind[0] in "aeiou" else "A"
    if arguments:
        raise ValueError(
            f"{article} {kind}'s own arguments go with a {kind} *name*; an instance has them "
            f"already. Received: {kind}={layer!r} with {arguments}"
        )
    if isinstance(layer, dict):
        layer = keras.saving.deserialize_keras_object(layer)
    if not isinstance(layer, base):
        other = ", None" if none else ""
        raise ValueError(
            f"`{kind}` must be {article.lower()} `{base.__name__}`{other} or one of "
            f"{sorted(table)}. Received: {kind}={layer!r}"
        )
    return layer


def _without(arguments: dict, *names: str) -> dict:
    return {name: value for name, value in arguments.items() if name not in names}

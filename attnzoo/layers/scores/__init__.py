"""QUERY x KEY -> SCORES."""

import keras

from attnzoo.layers.base import constructor_arguments
from attnzoo.layers.scores.additive import AdditiveScore
from attnzoo.layers.scores.base import Score
from attnzoo.layers.scores.bilinear import BilinearScore
from attnzoo.layers.scores.coverage import CoverageScore
from attnzoo.layers.scores.dot import DotScore
from attnzoo.layers.scores.location import LocationScore
from attnzoo.layers.scores.location_sensitive import LocationSensitiveScore

# Luong's words stand beside ours.
SCORES = {
    "dot": DotScore,
    "bilinear": BilinearScore,
    "general": BilinearScore,
    "additive": AdditiveScore,
    "concat": AdditiveScore,
    "location": LocationScore,
}
# What a score cannot be made without.
_NEEDS = {AdditiveScore: "units", LocationScore: "max_length"}


def get_score(score, **arguments) -> Score:
    """Make a score from its name and its own arguments, or hand through an instance.

    Args:
        score: A `Score`, its serialized form, or one of the names in `SCORES`.
        **arguments: What the named score's constructor takes.

    Raises:
        ValueError: If the name is unknown or lacks an argument, or arguments come with an instance.
    """
    if isinstance(score, str):
        if score not in SCORES:
            raise ValueError(f"`score` must be one of {sorted(SCORES)}. Received: score={score!r}")
        cls = SCORES[score]
        needed = _NEEDS.get(cls)
        if needed is not None and arguments.get(needed) is None:
            raise ValueError(
                f"`score={score!r}` needs `{needed}`: give it beside the name, or give a "
                f"`{cls.__name__}({needed}=...)`. Received: {needed}=None"
            )
        takes = {*constructor_arguments(cls), "name", "dtype", "trainable"}
        unknown = sorted(set(arguments) - takes)
        if unknown:
            raise ValueError(
                f"Beside its own arguments an attention takes those of `score={score!r}`, "
                f"{sorted(takes)}. Received: {', '.join(unknown)}"
            )
        return cls(**arguments)
    given = {name: value for name, value in arguments.items() if name not in ("name", "dtype")}
    if given:
        raise ValueError(
            "A score's own arguments go with a score *name*; an instance has them already. "
            f"Received: score={score!r} with {given}"
        )
    if isinstance(score, dict):
        score = keras.saving.deserialize_keras_object(score)
    if not isinstance(score, Score):
        raise ValueError(
            f"`score` must be a `Score` or one of {sorted(SCORES)}. Received: score={score!r}"
        )
    return score


__all__ = [
    "SCORES",
    "AdditiveScore",
    "BilinearScore",
    "CoverageScore",
    "DotScore",
    "LocationScore",
    "LocationSensitiveScore",
    "Score",
    "get_score",
]

"""Built-in preset names, and clear errors for presets that cannot be loaded."""

import contextlib
import json
import os

import keras

from attnzoo.presets import PRESETS


@contextlib.contextmanager
def explain_preset_errors(preset):
    """Resolve a preset's name, and say what is wrong where it cannot be loaded."""
    place = _place_of(preset)
    if "://" not in place and not os.path.isdir(place):
        raise ValueError(
            f"A preset must be one of {sorted(PRESETS)}, a directory, or a handle such as "
            f"hf://user/name. Received: preset={preset!r}"
        )
    try:
        yield place
    except (OSError, KeyError, TypeError, ValueError) as error:
        if not os.path.isdir(place):
            raise
        raise ValueError(
            f"The preset directory is damaged or not one of this kind: {error} "
            f"Received: preset={preset!r}, which holds {sorted(os.listdir(place))}"
        ) from error


def check_head(cls, preset, arguments: dict):
    """Raise where a preset's head would go into one that is built otherwise.

    Args:
        cls: Class of the task, whose `head_arguments` its head is built by.
        preset: As in the task's `from_preset`.
        arguments: What else that was given. With `num_classes` the head starts anew.

    Raises:
        ValueError: If one of these arguments differs from the preset's.
    """
    asked = {name: arguments[name] for name in cls.head_arguments if name in arguments}
    if not asked or "num_classes" in arguments:
        return
    try:
        saved = _read(_place_of(preset), "task.json")
        if keras.saving.get_registered_object(saved["registered_name"]) is not cls:
            return
        own = {name: saved["config"][name] for name in asked}
    except (OSError, ValueError, KeyError, TypeError):
        return  # Who loads it says what is damaged.
    for name, value in asked.items():
        if value != own[name]:
            raise ValueError(
                f"`{name}` must be the preset's, {own[name]!r}, whose weights were trained with "
                "it: for another, make a new task on the preset's backbone. "
                f"Received: {name}={value!r}"
            )


def saved_dtype(place):
    """The dtype policy that a preset's backbone was saved with.

    KerasHub would take the one in force now instead, and knows no mixed ones.
    """
    return keras.saving.deserialize_keras_object(_read(place, "config.json")["config"]["dtype"])


def task_class(preset):
    """The class of the task that a preset holds; None for a handle, which is only loaded later.

    Args:
        preset: As in a task's `from_preset`.

    Raises:
        ValueError: If the name is unknown, or the directory is damaged or holds no known task.
    """
    with explain_preset_errors(preset) as place:
        if not os.path.isdir(place):
            return None
        name = _read(place, "task.json")["registered_name"]
        cls = keras.saving.get_registered_object(name)
        if cls is None:
            raise ValueError(f"There is no task of the name {name!r}.")
        return cls


def _place_of(preset) -> str:
    """The directory of a built-in name; anything else as it is."""
    place = os.fspath(preset)
    return os.fspath(PRESETS.get(place, place))


def _read(place, name: str) -> dict:
    """One of a preset's files in JSON."""
    with open(os.path.join(place, name), encoding="utf-8") as file:
        return json.load(file)

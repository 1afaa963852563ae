"""Built-in preset names, and clear errors for presets that cannot be loaded."""

import contextlib
import json
import os

import keras

from attnzoo.presets import PRESETS


@contextlib.contextmanager
def explain_preset_errors(preset):
    """Resolve a preset's name, and say what is wrong where it cannot be loaded."""
    place = os.fspath(preset)
    if place in PRESETS:
        place = os.fspath(PRESETS[place])
    elif "://" not in place and not os.path.isdir(place):
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
    place = os.fspath(preset)
    place = os.path.join(os.fspath(PRESETS.get(place, place)), "task.json")
    if "num_classes" in arguments or not os.path.isfile(place):
        return
    try:
        with open(place, encoding="utf-8") as file:
            saved = json.load(file)
        known = keras.saving.get_registered_object(saved["registered_name"])
        owned = {name: saved["config"][name] for name in cls.head_arguments if known is cls}
    except (ValueError, KeyError, TypeError):
        return  # Who loads it says what is damaged.
    for name, own in owned.items():
        if name in arguments and arguments[name] != own:
            raise ValueError(
                f"`{name}` must be the preset's, {own!r}, whose weights were trained with it: for "
                "another, make a new task on the preset's backbone. "
                f"Received: {name}={arguments[name]!r}"
            )


def saved_dtype(place):
    """The dtype policy that a preset's backbone was saved with.

    KerasHub would take the one in force now instead, and knows no mixed ones.
    """
    with open(os.path.join(place, "config.json"), encoding="utf-8") as file:
        dtype = json.load(file)["config"]["dtype"]
    return keras.saving.deserialize_keras_object(dtype)


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
        with open(os.path.join(place, "task.json"), encoding="utf-8") as file:
            name = json.load(file)["registered_name"]
        cls = keras.saving.get_registered_object(name)
        if cls is None:
            raise ValueError(f"There is no task of the name {name!r}.")
        return cls

"""Presets by name, handle or run folder, and clear errors for those that cannot be loaded."""

import contextlib
import json
import os

import keras
import keras_hub

from attnzoo.presets import PRESETS, find_preset, read_card, suggest

# The preset's folder in the run folder of `attnzoo train`.
RUN_PRESET = "preset"
# A preset has at least one of these files.
_FILES = {"config.json", "task.json", "preprocessor.json", "tokenizer.json"}
_HUGGING_FACE = "hf://"
_DOWNLOADED = ["*.json", "*.jsonl", "*.tsv", "*.h5", "assets/*"]


@contextlib.contextmanager
def explain_preset_errors(preset, cls=None, arguments=()):
    """Return a context that resolves a preset's name, and explains why it cannot be loaded.

    Args:
        preset: A built-in name, the directory of a preset or of a finished run, or a handle.
        cls: The class to load, a task, backbone or preprocessor; None for any.
        arguments: Names of the other arguments: an error about one of them is not damage.

    Raises:
        ValueError: If the name is unknown, the directory holds no preset or a preset of another
            class, or loading fails.
    """
    place = _directory_of(preset)
    if "://" not in place:
        _check_place(preset, place, cls)
    try:
        yield place
    except (OSError, KeyError, TypeError, ValueError) as error:
        if not os.path.isdir(place) or any(name in str(error) for name in arguments):
            raise
        task, _ = _classes_in(place)
        if isinstance(error, (TypeError, ValueError)) and _starts_anew(cls, task):
            raise ValueError(
                f"{error} The preset holds a {task.__name__}, from which a {cls.__name__} takes "
                f"over the backbone alone; {_loader(task)} loads it as it is. "
                f"Received: preset={preset!r}"
            ) from error
        raise ValueError(
            f"The preset directory is damaged or not one of this kind: {error} "
            f"Received: preset={preset!r}, which holds {sorted(os.listdir(place))}"
        ) from error


def _check_place(preset, place, cls):
    """Raise unless there is a preset of this class, complete or not."""
    if not os.path.isdir(place):
        names = _built_in_names(cls)
        rule = f"one of {names}, a directory" if names else "a directory (no built-in one fits)"
        kind = "" if cls is None else f" for a {cls.__name__}"
        raise ValueError(
            f"A preset{kind} must be {rule}, or a handle such as hf://user/name."
            f"{suggest(os.fspath(preset))} Received: preset={preset!r}"
        )
    files = sorted(os.listdir(place))
    if not _FILES & set(files):
        why = "The directory holds no preset: `save_to_preset` writes one."
        if "recipe.json" in files:
            why = (
                "The run is not finished, so that it holds no preset yet: its `attnzoo train` "
                "command, given again, goes on."
            )
        raise ValueError(f"{why} Received: preset={preset!r}, which holds {files}")
    task, backbone = _classes_in(place)
    if not _fits(cls, task, backbone):
        held = backbone if issubclass(cls, keras_hub.models.Backbone) or task is None else task
        loads = held
        if issubclass(cls, keras_hub.models.Preprocessor) and task is not None:
            loads = task.preprocessor_cls
        raise ValueError(
            f"The preset holds a {held.__name__}, and no {cls.__name__}: load it with "
            f"{_loader(loads)}. Received: preset={preset!r}"
        )


class BuiltInPresets:
    """The attribute `presets` of a class: the built-in presets that it can load, as KerasHub's."""

    def __get__(self, instance, cls):
        return {name: self._describe(name) for name in _built_in_names(cls)}

    def _describe(self, name):
        card = read_card(PRESETS[name])
        _, backbone = _classes_in(PRESETS[name])
        family = backbone.__module__.split(".")[-2]
        return {
            "metadata": {
                "description": card.summary,
                "params": card.parameters,
                "path": family,
            }
        }


def _built_in_names(cls) -> list[str]:
    """Return the names of the built-in presets that a class can load; None is any class."""
    return sorted(name for name, at in PRESETS.items() if _fits(cls, *_classes_in(at)))


def _classes_in(place):
    """Return the task's and the backbone's class in a preset's directory, None if unknown."""
    found = []
    for file in ("task.json", "config.json"):
        try:
            name = _read(place, file)["registered_name"]
            found.append(keras.saving.get_registered_object(name))
        except (OSError, ValueError, KeyError, TypeError):
            found.append(None)
    return found


def _fits(cls, task, backbone) -> bool:
    """Return whether `cls` can be loaded from a preset of these classes; True if unknown."""
    if cls is None or (task is None and backbone is None):
        return True
    if issubclass(cls, keras_hub.models.Backbone):
        return backbone is None or issubclass(backbone, cls)
    if task is not None and issubclass(task, cls):
        return True
    if cls.backbone_cls is None:  # A base class, for all its subclasses.
        return task is None or not issubclass(cls, keras_hub.models.Task)
    return backbone in (None, cls.backbone_cls)


def _starts_anew(cls, task) -> bool:
    """Return whether a task of this class needs weights that the preset's task does not have."""
    is_task = cls is not None and issubclass(cls, keras_hub.models.Task)
    return is_task and task is not None and not issubclass(task, cls)


def _loader(cls) -> str:
    where = "attnzoo.models." if cls.__module__.startswith("attnzoo.") else ""
    return f"`{where}{cls.__name__}.from_preset`"


def check_head(cls, preset, arguments: dict):
    """Raise if the arguments describe another head than that of the preset.

    Args:
        cls: Class of the task; `head_arguments` names the arguments that determine its head.
        preset: As in the task's `from_preset`.
        arguments: The other arguments of `from_preset`. With `num_classes` the head is new.

    Raises:
        ValueError: If one of these arguments differs from the preset's.
    """
    asked = {name: arguments[name] for name in cls.head_arguments if name in arguments}
    if not asked or "num_classes" in arguments:
        return
    try:
        saved = _read(_directory_of(preset), "task.json")
        if keras.saving.get_registered_object(saved["registered_name"]) is not cls:
            return
        own = {name: saved["config"][name] for name in asked}
    except (OSError, ValueError, KeyError, TypeError):
        return  # Loading raises for a damaged preset.
    for name, value in asked.items():
        if value != own[name]:
            raise ValueError(
                f"`{name}` must be the preset's, {own[name]!r}, whose weights were trained with "
                "it: for another, make a new task on the preset's backbone. "
                f"Received: {name}={value!r}"
            )


def saved_dtype(place):
    """Return the dtype policy that a preset's backbone was saved with.

    KerasHub would take the current global policy in its place, and does not support mixed ones.
    """
    return keras.saving.deserialize_keras_object(_read(place, "config.json")["config"]["dtype"])


def task_class(preset):
    """Return the class of a preset's task; None for a handle of Kaggle, which is loaded later.

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


def _directory_of(preset) -> str:
    """Return the directory of a name, a handle of Hugging Face, or a run; else the value."""
    try:
        place = os.fspath(preset)
    except TypeError as error:
        raise ValueError(
            f"A preset must be a name, a directory or a handle. Received: preset={preset!r}"
        ) from error
    if place.startswith(_HUGGING_FACE):
        return _download(place)
    place = os.fspath(find_preset(place) or place)
    inner = os.path.join(place, RUN_PRESET)
    if os.path.isdir(inner) and not _FILES & set(os.listdir(place)):
        return inner
    return place


def _download(handle: str) -> str:
    """Return the directory of a preset on Hugging Face, after downloading what is not there yet."""
    import huggingface_hub

    name = handle.removeprefix(_HUGGING_FACE)
    return huggingface_hub.snapshot_download(repo_id=name, allow_patterns=_DOWNLOADED)


def _read(place, name: str) -> dict:
    """Return the content of a preset's JSON file."""
    with open(os.path.join(place, name), encoding="utf-8") as file:
        return json.load(file)

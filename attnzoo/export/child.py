"""Export from JAX and torch: a child process under TensorFlow writes the graph."""

import argparse
import importlib
import json
import os
import subprocess
import sys

import keras
import numpy as np

from attnzoo.export.formats.names import from_json, to_json
from attnzoo.export.specs.families import make_spec
from attnzoo.models.preprocessing.packing import as_lists


def write_in_child(form, spec, workplace, made, feeds):
    """Save the task as a preset; let a process under TensorFlow write, load and run the graph.

    Args:
        form: The `Format`.
        spec: The `ServingSpec` of the task.
        workplace: A directory for temporary files.
        made: Where the graph is written.
        feeds: Inputs by name, as `Format.run` takes them.
    """
    task = spec.task
    preset = os.path.join(workplace, "preset")
    results = os.path.join(workplace, "results")
    modules = _modules_of(spec)
    task.save_to_preset(preset)
    request = {
        "format": to_json(form),
        "preset": preset,
        "task": [type(task).__module__, type(task).__name__],
        "has_preprocessor": task.preprocessor is not None,
        "dtype": keras.saving.serialize_keras_object(task.backbone.dtype_policy),
        "modules": modules,
        "inputs": spec.inputs,
        "options": keras.saving.serialize_keras_object(spec.options),
        "directory": made,
        "feeds": {name: as_lists(rows) for name, rows in feeds.items()},
        "results": results,
    }
    request_path = os.path.join(workplace, "request.json")
    with open(request_path, "w", encoding="utf-8") as file:
        json.dump(request, file)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # The child can import every module that this process can import.
        "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path),
        "PYTHONIOENCODING": "utf-8",
    }
    environment.pop("XLA_FLAGS", None)  # Meant for another XLA, which may know other flags.
    child = subprocess.run(
        [sys.executable, "-m", "attnzoo.export.child", request_path],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if child.returncode != 0:
        raise RuntimeError(
            f"The child process that writes the {form.product} under TensorFlow failed, with exit "
            f"status {child.returncode}. The end of what it said:\n{child.stderr[-4000:]}"
        )
    return tuple(
        dict(np.load(f"{results}_{part}.npz", allow_pickle=False)) for part in ("all", "first")
    )


def main(arguments=None):
    """Run the child process."""
    parser = argparse.ArgumentParser(prog="python -m attnzoo.export.child")
    parser.add_argument("request", help="JSON file, as `write_in_child` writes it.")
    with open(parser.parse_args(arguments).request, encoding="utf-8") as file:
        request = json.load(file)
    for module in request["modules"]:
        importlib.import_module(module)
    # The dtype is explicit: a preset is otherwise loaded with this process's own dtype policy.
    arguments = {"dtype": keras.saving.deserialize_keras_object(request["dtype"])}
    if not request["has_preprocessor"]:
        arguments["preprocessor"] = None
    module, name = request["task"]
    task = getattr(importlib.import_module(module), name).from_preset(
        request["preset"], **arguments
    )
    options = keras.saving.deserialize_keras_object(request["options"])
    spec = make_spec(task, request["inputs"], **options)
    form = from_json(request["format"])
    with spec.as_exported():
        form.write(spec, request["directory"])
    both = form.run(spec, request["directory"], request["feeds"])
    for part, outputs in zip(("all", "first"), both, strict=True):
        np.savez(f"{request['results']}_{part}.npz", **outputs)


def _modules_of(spec):
    """Return the modules outside Keras that define classes and functions of a task."""
    task = spec.task
    registered = keras.saving.get_custom_objects()
    found = {(type(task).__module__, type(task).__name__)}

    def visit(value):
        if isinstance(value, dict):
            if isinstance(value.get("module"), str) and "class_name" in value:
                found.add((value["module"], value["class_name"]))
            for item in value.values():
                visit(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)
        elif isinstance(value, str) and value in registered:
            found.add((registered[value].__module__, registered[value].__name__))

    visit(keras.saving.serialize_keras_object(task))
    visit(keras.saving.serialize_keras_object(spec.options))
    known = ("builtins", "keras", "keras_hub")
    found = {(module, name) for module, name in found if module.split(".")[0] not in known}
    for module, name in sorted(found):
        if module in ("__main__", "__mp_main__"):
            raise ValueError(
                f"Under {keras.backend.backend()} an export is written by a child process, "
                "which must be able to import the model's classes: move this one from the script "
                f"or notebook to a module of its own. Received: {name!r}, defined in {module}"
            )
    return sorted({module for module, _ in found})


if __name__ == "__main__":
    main()

"""The base of the formats of `attnzoo.runtime`: a folder of graphs that take ids, and their text.

`attnzoo.json` in it has all that a reader needs: the names, dtypes and shapes of inputs and
outputs, how texts become ids and ids texts, how outputs are decoded, and the labels.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from attnzoo import __version__
from attnzoo.export.description import describe
from attnzoo.export.formats.base import Format
from attnzoo.export.specs.base import pad_to
from attnzoo.runtime.model import FORMAT
from attnzoo.runtime.search import decode
from attnzoo.runtime.sessions import open_graph

ABOUT = "attnzoo.json"


@dataclasses.dataclass(frozen=True)
class PortableFormat(Format):
    """A folder of graphs for ONNX Runtime or LiteRT."""

    marker = ABOUT
    # What it needs beside TensorFlow, and the extra that has it.
    packages: ClassVar[tuple[str, ...]] = ()
    extra = ""
    runtime = ""
    parts = "whole"

    def run(self, spec, directory, feeds):
        with open(os.path.join(directory, ABOUT), encoding="utf-8") as file:
            about = json.load(file)
        run = open_graphs(directory, about)
        inputs = {one["name"]: one for one in about["inputs"]}

        def run_rows(rows):
            given = {}
            for name, value in feeds.items():
                wanted = inputs[spec.portable_name(name)]
                length = wanted["shape"][1]  # What is cut off here is padding.
                value = np.asarray(value[rows], wanted["dtype"])[:, :length]
                sizes = [len(value), length or value.shape[1]]
                given[wanted["name"]] = pad_to(value, sizes, spec.padding_of(name))
            size = next(iter(inputs.values()))["shape"][0]
            if size is None:
                return spec.from_portable(run(given))
            count = len(next(iter(given.values())))
            found = []
            for row in range(count):  # Each with others, if the graph takes more than one.
                chosen = [(row + more) % count for more in range(size)]
                outputs = run({name: value[chosen] for name, value in given.items()})
                found.append({name: value[:1] for name, value in outputs.items()})
            return _join([spec.from_portable(one) for one in found], spec.padding)

        return run_rows(slice(None)), run_rows(slice(1))

    def write_whole(self, spec, directory, *, file: str, signature: dict, write_graph: Callable):
        """Write a folder with one graph.

        Args:
            spec: The `ServingSpec`.
            directory: The folder to make.
            file: The name of the graph's file.
            signature: A dict from the name of each input to its `tf.TensorSpec`.
            write_graph: Function of what computes, the signature and a path to the outputs.
        """
        os.makedirs(directory)
        outputs = write_graph(spec.compute_portable, signature, os.path.join(directory, file))
        self.write_about(
            spec,
            directory,
            files={"model": file},
            inputs=describe_tensors(signature),
            outputs=outputs,
        )

    def write_about(self, spec, directory, *, files: dict, inputs: list, outputs: list):
        """Write `attnzoo.json`.

        Args:
            spec: The `ServingSpec`.
            directory: The folder.
            files: The names of the graphs' files, by part.
            inputs, outputs: Dicts of `name`, `dtype` and `shape`, in which None is any size.
        """
        task = spec.task
        about = {
            "format": FORMAT,
            "attnzoo": __version__,
            "runtime": self.runtime,
            "parts": self.parts,
            "task": spec.kind,
            "name": type(task).__name__,
            "files": files,
            "inputs": inputs,
            "outputs": outputs,
            "text": describe(task.preprocessor),
            "decoding": spec.decoding(),
            "labels": getattr(task, "class_names", None),
        }
        with open(os.path.join(directory, ABOUT), "w", encoding="utf-8") as file:
            json.dump(about, file, ensure_ascii=False)


def _join(rows: list[dict], padding: dict) -> dict:
    """Return outputs of one row each as outputs of all, padded to one shape."""
    joined = {}
    for name in rows[0]:
        parts = [one[name] for one in rows]
        shape = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
        parts = [pad_to(part, shape, padding.get(name, 0)) for part in parts]
        joined[name] = np.concatenate(parts)
    return joined


def describe_tensors(specs: dict) -> list[dict]:
    """Return `name`, `dtype` and `shape` of TensorFlow's specs or tensors, by name."""
    return [
        {"name": name, "dtype": one.dtype.name, "shape": one.shape.as_list()}
        for name, one in specs.items()
    ]


def open_graphs(directory: str, about: dict):
    """Return a function from a batch of inputs to the outputs, arrays by name.

    Args:
        directory: The folder of the graphs.
        about: What `attnzoo.json` says.
    """
    graphs = {
        part: open_graph(os.path.join(directory, name), threads=1)
        for part, name in about["files"].items()
    }
    if "model" in graphs:
        return graphs["model"]

    def run(given):
        source = next(iter(given.values()))
        return decode(lambda: graphs["encoder"](given), graphs["step"], source, about["decoding"])

    return run

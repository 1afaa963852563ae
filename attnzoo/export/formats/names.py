"""The formats by name, as a child process gets them."""

import dataclasses

from attnzoo.export.formats.base import Format
from attnzoo.export.formats.litert import LiteRT
from attnzoo.export.formats.onnx import Onnx
from attnzoo.export.formats.saved_model import SavedModel
from attnzoo.export.formats.steps import LiteRTSteps, OnnxSteps

FORMATS = {one.__name__: one for one in (SavedModel, Onnx, LiteRT, OnnxSteps, LiteRTSteps)}


def to_json(form: Format) -> dict:
    """Return a format as a dict that JSON can hold."""
    return {"name": type(form).__name__, "options": dataclasses.asdict(form)}


def from_json(config: dict) -> Format:
    """Return the format of a dict from `to_json`."""
    return FORMATS[config["name"]](**config["options"])

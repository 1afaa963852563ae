"""SavedModel: TensorFlow's own format."""

import dataclasses

from attnzoo.export.formats.base import Format
from attnzoo.export.graph import run_exported, write_graph


@dataclasses.dataclass(frozen=True)
class SavedModel(Format):
    """A SavedModel, which takes strings or ids, and runs with TensorFlow."""

    product = "SavedModel"
    marker = "saved_model.pb"

    def write(self, spec, directory):
        write_graph(spec, directory)

    def run(self, spec, directory, feeds):
        return run_exported(directory, feeds)

"""From a task to one TensorFlow graph, strings in and results out, that needs nothing of ours.

The graph is traced under TensorFlow: in this process where that is the backend, else in a child
process, which gets the task as a preset. Either way the artefact is loaded again, run, and compared
with the live model before it gets its name. `specs` has one class for each family of tasks: the
inputs and outputs of its graph.
"""

from attnzoo.export.saving import saved_model

__all__ = ["saved_model"]

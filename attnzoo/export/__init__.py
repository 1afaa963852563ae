"""Export of a task as one TensorFlow graph, from strings to results, that runs without attnzoo.

The graph is traced under TensorFlow: in this process if TensorFlow is the backend, else in a child
process, which loads the task from a preset. In both cases the SavedModel is loaded again, run, and
compared with the live model before it is moved to its final path. `specs` has one class for each
family of tasks, which defines the inputs and outputs of the graph.
"""

from attnzoo.export.saving import saved_model

__all__ = ["saved_model"]

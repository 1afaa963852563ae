"""Exports: a task as one graph that runs without attnzoo.

`saved_model` goes from strings to results with TensorFlow; `onnx`, `litert` and `step` go from ids
to results with a small runtime. Every graph is traced under TensorFlow: in this process if it is
the backend, else in a child process, which loads the task from a preset. In both cases the result
is loaded again by its own runtime, run, and compared with the live model before it is moved
to its final path. `specs` has one class for each family of tasks, which defines inputs and outputs;
`formats` has one for each format.
"""

from attnzoo.export.portable import litert, onnx, step
from attnzoo.export.saving import saved_model

__all__ = ["litert", "onnx", "saved_model", "step"]

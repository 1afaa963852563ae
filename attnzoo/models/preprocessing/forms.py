"""The two forms of preprocessing, and the function that chooses between them.

`eager` works on Python strings and NumPy arrays, `graph` on tensors while TensorFlow traces a
`tf.data` pipeline or an export. Both have the same functions, and a test compares their results.
"""

from attnzoo.data.tokenizers import in_graph
from attnzoo.models.preprocessing import eager, graph


def form():
    """Return the module for the current context: `graph` while TensorFlow traces, else `eager`."""
    return graph if in_graph() else eager

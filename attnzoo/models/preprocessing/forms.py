"""The two forms of preprocessing, and the one place that chooses between them.

`eager` works on Python's strings and on NumPy arrays, `graph` on tensors while TensorFlow traces a
`tf.data` pipeline or an export. Both have the same functions, and a test holds one to the other.
"""

from attnzoo.data.tokenizers import in_graph
from attnzoo.models.preprocessing import eager, graph


def form():
    """Return the module whose functions fit what is being done now."""
    return graph if in_graph() else eager

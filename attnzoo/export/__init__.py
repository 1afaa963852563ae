"""From a task to one TensorFlow graph, strings in and strings out, that needs nothing of ours.

    text -> tokenize -> encode, prepare -> one step a token (greedy or beam) -> detokenize -> text
                                                        |
                                                        +-> replay -> alignments, scores

The graph is traced under TensorFlow: in this process where that is the backend, else in a child
process, which gets the task as a preset. Either way the artefact is loaded again, run, and held to
the live model before it gets its name.
"""

from attnzoo.export.saving import saved_model

__all__ = ["saved_model"]

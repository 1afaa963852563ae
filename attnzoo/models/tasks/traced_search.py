"""Decoding on torch: the loop of a search as a graph of ATen operations.

On torch a step of decoding is a few dozen small operations, and most of its time goes into the
Python around them. Here the body of a sampler's loop is traced once for each shape of its
variables. The trace begins before the loop, so that it holds where all comes from that the body
reads. What does not depend on the loop's variables (projected memory, joined kernels, constants) is
taken out of the body, and computed once a search.

Weights are read at each search, and no tensor is kept from one search to the next.
"""

import copy
import logging
import threading
from collections.abc import Callable

import keras_hub
from keras import ops, tree

from attnzoo.models.tasks.decoding import search
from attnzoo.models.tasks.torch_graphs import split, trace

# Tracing replaces methods of `torch.nn.Module` while it lasts, for all threads.
_TRACING = threading.Lock()


def is_traceable(sampler) -> bool:
    """Return whether a sampler's loop can be traced: it draws nothing, and is KerasHub's own."""
    plain = keras_hub.samplers.Sampler.run_loop
    return not sampler.variables and type(sampler).run_loop is plain


class TracedSearch:
    """`search` for batches of one shape, with a loop that is traced.

    If the loop cannot be traced, as that of a sampler that reads values, it runs as it is.

    Call arguments and returns: as in `attnzoo.models.tasks.decoding.search`.
    """

    def __init__(self):
        # By the shapes of the loop's variables: a cache that grows has a loop for each size.
        self._loops: dict[tuple, _Loop | None] = {}

    def __call__(self, task, sampler, inputs, encoded, *arguments):
        roots = _as_tensors((inputs, encoded))

        def search_with(run_loop, roots):
            looped = copy.copy(sampler)
            looped.run_loop = run_loop
            return search(task, looped, *roots, *arguments)

        def run_loop(cond, body, model=None, loop_vars=(), maximum_iterations=None):
            state = _as_tensors(tuple(loop_vars))
            loop = self._find(search_with, roots, state)
            if loop is None:
                return sampler.run_loop(cond, body, model, state, maximum_iterations)
            return loop.run(roots, state, int(maximum_iterations)) if cond(*state) else state

        return search_with(run_loop, roots)

    def _find(self, search_with, roots, state):
        """Return the traced loop for variables of these shapes, or None."""
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in tree.flatten(state))
        if shapes not in self._loops:
            with _TRACING:
                if shapes not in self._loops:
                    self._loops[shapes] = _trace_loop(search_with, roots, state)
        return self._loops[shapes]


class _Loop:
    """A loop that is traced.

    Args:
        before: Function of the leaves of the roots to the values that all steps share.
        step: Function of these values and the leaves of the loop's variables to whether the loop
            goes on, and the leaves of the next variables.
    """

    def __init__(self, before: Callable, step: Callable):
        self.before = before
        self.step = step

    def run(self, roots, state, maximum_iterations: int):
        """Return the loop's variables after its last step."""
        import torch

        leaves = tree.flatten(state)
        with torch.inference_mode():
            shared = self.before(*tree.flatten(roots))
            for _ in range(maximum_iterations):
                goes_on, *leaves = self.step(*shared, *leaves)
                if not goes_on:
                    break
        return tree.pack_sequence_as(state, leaves)


class _Reached(Exception):
    """A search has come to its loop, and one step is taken."""


def _trace_loop(search_with, roots, state) -> _Loop | None:
    """Trace the body of a search's loop with variables like `state`; return None if it fails."""
    structure = roots, state

    def run_one_step(*leaves):
        roots, state = tree.pack_sequence_as(structure, leaves)
        outputs: list = []

        def run_loop(cond, body, model=None, loop_vars=(), maximum_iterations=None):
            after = _as_tensors(tuple(body(*state)))
            outputs.extend([ops.convert_to_tensor(cond(*after)), *tree.flatten(after)])
            raise _Reached

        try:
            search_with(run_loop, roots)
        except _Reached:
            pass
        return tuple(outputs)

    try:
        module = trace(run_one_step, tree.flatten(structure))
        loop = _Loop(*split(module, len(tree.flatten(roots))))
        loop.run(roots, state, 1)
    except Exception as error:
        # Whatever the model or sampler does that no trace can hold, the loop as it is can do.
        logging.getLogger(__name__).info("The loop of a search is not traced: %s", error)
        return None
    return loop


def _as_tensors(structure):
    """Return the structure with leaves that have the same layout at each call."""
    return tree.map_structure(lambda leaf: ops.convert_to_tensor(leaf).contiguous(), structure)

"""The one loop over time that trains on every backend."""

from collections.abc import Callable

import keras
from keras import ops, tree

from attnzoo.backend import ON_TORCH


def run_loop(body: Callable, inputs, state, dtype: str, go_backwards: bool = False):
    """Run `body` over the steps of `inputs`.

    The loop is `keras.layers.RNN`: it trains under JAX and TensorFlow (graph and XLA), where
    `ops.scan` does not under XLA and `ops.while_loop` has no gradient on JAX. On torch it is the
    Python loop.

    Args:
        body: Function of (inputs [B, D], state) that returns (outputs [B, D'], next state).
        inputs: float [B, T, D].
        state: Pytree of float tensors, batch first in every leaf.
        dtype: Dtype of the state and of the outputs.
        go_backwards: Whether to go from the last step to the first; outputs then stand in the order
            in which they were made.

    Returns:
        outputs float [B, T, D'], and the final state.
    """
    if ON_TORCH:
        return _python_loop(body, inputs, state, go_backwards)
    leaves = tree.flatten(state)
    loop = keras.layers.RNN(
        _Body(body, state, dtype),
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
        dtype=dtype,
        name="loop",
    )
    # A loop that carries nothing still needs a state: `keras.layers.RNN` has no other.
    carried = leaves or [inputs[:, 0, :1]]
    outputs, *last = loop.call(inputs, initial_state=carried)
    return outputs, tree.pack_sequence_as(state, last) if leaves else state


def _python_loop(body, inputs, state, go_backwards):
    """Loop in Python, as torch does anyway: there every operation costs."""
    steps = ops.unstack(inputs, axis=1)
    outputs = []
    for step in reversed(steps) if go_backwards else steps:
        output, state = body(step, state)
        outputs.append(output)
    return ops.stack(outputs, axis=1), state


class _Body:
    """A function as a Keras RNN cell."""

    def __init__(self, body, structure, dtype):
        self.body = body
        self.structure = structure
        self.compute_dtype = dtype
        self.state_size = [1] * max(1, len(tree.flatten(structure)))  # Only counted, never read.

    def call(self, inputs, states):
        leaves = list(states)
        if not tree.flatten(self.structure):
            output, _ = self.body(inputs, self.structure)
            return output, leaves
        output, state = self.body(inputs, tree.pack_sequence_as(self.structure, leaves))
        return output, tree.flatten(state)

    __call__ = call

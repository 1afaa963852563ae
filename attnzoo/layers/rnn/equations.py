"""A Keras RNN cell's equations, split into the part before the loop and the part in it.

Most of a cell's input is known for all steps at once: its product with the kernel is one large
matrix product, outside the loop. The part known only in the loop (a context, fed-back results, the
output of the cell below) comes in *late*. Both halves use the Keras cell's own weights, read once.
"""

import inspect

import keras
from keras import ops

from attnzoo.ops import linear


def bind(cell, early_width: int, training: bool = False):
    """Read a cell's weights and return its equations.

    Args:
        cell: A built Keras cell. LSTM, GRU, SimpleRNN and stacks of cells are taken apart; any
            other cell is called as it is, in the loop.
        early_width: How many of the cell's input features are known before the loop.
        training: Whether the cell's dropout is on. One mask serves all steps (Gal and Ghahramani,
            2016, [variational dropout](https://arxiv.org/abs/1512.05287)).

    Returns:
        An object with `project(inputs)`, float [B, T, early_width] to float [B, T, P], and
        `step(projected, late, states)`: float [B, P], float [B, L] or None, and the list of the
        cell's states, to the output, float [B, units], and the list of the next states.
    """
    equations = {
        keras.layers.LSTMCell: _LSTM,
        keras.layers.GRUCell: _GRU,
        keras.layers.SimpleRNNCell: _SimpleRNN,
        keras.layers.StackedRNNCells: _Stack,
    }
    return equations.get(type(cell), _AnyCell)(cell, early_width, training)


class _AnyCell:
    """A cell that is not taken apart: it gets its whole input in the loop."""

    def __init__(self, cell, early_width, training):
        self.cell = cell
        self.training = {"training": training} if _takes_training(cell) else {}

    def draw(self, inputs):
        """Draw nothing: the cell draws its own dropout, in the loop."""

    def project(self, inputs):
        return inputs

    def step(self, projected, late, states):
        inputs = projected if late is None else ops.concatenate([projected, late], axis=-1)
        output, states = self.cell(inputs, list(states), **self.training)
        return output, list(states) if isinstance(states, (list, tuple)) else [states]

    def step_late(self, inputs, states):
        return self.step(inputs, None, states)


class _Gates:
    """Base of LSTM, GRU and SimpleRNN: one kernel over the input, one over the state."""

    def __init__(self, cell, early_width, training):
        self.cell = cell

        def read(weight):  # In the compute dtype, outside a layer's `call` too.
            return ops.cast(ops.convert_to_tensor(weight), cell.compute_dtype)

        kernel = read(cell.kernel)
        self.early_kernel = kernel[:early_width]
        self.late_kernel = kernel[early_width:]
        self.recurrent_kernel = read(cell.recurrent_kernel)
        self.bias = read(cell.bias) if cell.use_bias else None
        # The late inputs and the state are multiplied in one product.
        self.loop_kernel = ops.concatenate([self.late_kernel, self.recurrent_kernel], axis=0)
        self.dropout = cell.dropout if training else 0.0
        self.recurrent_dropout = cell.recurrent_dropout if training else 0.0
        self.early_mask = self.late_mask = self.state_mask = None

    def draw(self, inputs):
        """Draw the dropout masks of this pass, before the loop: the loop itself draws nothing."""
        batch = ops.shape(inputs)[0]
        late_width = self.late_kernel.shape[0]
        self.early_mask = self._mask((batch, 1, inputs.shape[-1]), self.dropout)
        self.late_mask = self._mask((batch, late_width), self.dropout) if late_width else None
        self.state_mask = self._mask((batch, self.cell.units), self.recurrent_dropout)

    def project(self, inputs):
        self.draw(inputs)
        if self.early_mask is not None:
            inputs = inputs * self.early_mask
        return linear(inputs, self.early_kernel, self.input_bias())

    def step(self, projected, late, states):
        raise NotImplementedError

    def step_late(self, inputs, states):
        """Take a step whose whole input is late, as that of an upper cell of a stack."""
        bias = self.input_bias()
        return self.step(0.0 if bias is None else bias[None], inputs, states)

    def input_bias(self):
        return self.bias

    def late_and_state(self, late, state):
        if self.state_mask is not None:
            state = state * self.state_mask
        if late is None:
            return ops.matmul(state, self.recurrent_kernel)
        if self.late_mask is not None:
            late = late * self.late_mask
        return ops.matmul(ops.concatenate([late, state], axis=-1), self.loop_kernel)

    def _mask(self, shape, rate):
        if not rate:
            return None
        ones = ops.ones(shape, dtype=self.cell.compute_dtype)
        return keras.random.dropout(ones, rate, seed=self.cell.seed_generator)


class _LSTM(_Gates):
    """i, f, o = sigmoid(...); c' = f c + i tanh(...); h' = o tanh(c')."""

    def step(self, projected, late, states):
        hidden, carry = states
        gates = projected + self.late_and_state(late, hidden)
        i, f, candidate, o = ops.split(gates, 4, axis=-1)
        activation, gate = self.cell.activation, self.cell.recurrent_activation
        carry = gate(f) * carry + gate(i) * activation(candidate)
        hidden = gate(o) * activation(carry)
        return hidden, [hidden, carry]


class _GRU(_Gates):
    """z, r = sigmoid(...); h' = z h + (1 - z) tanh(...), the reset before or after its product."""

    def input_bias(self):
        return self.bias[0] if self.bias is not None and self.cell.reset_after else self.bias

    def step(self, projected, late, states):
        hidden = states[0]
        units = self.cell.units
        state = hidden if self.state_mask is None else hidden * self.state_mask
        if late is not None:
            late = late if self.late_mask is None else late * self.late_mask
            projected = projected + ops.matmul(late, self.late_kernel)
        if self.cell.reset_after:
            inner = ops.matmul(state, self.recurrent_kernel)
            inner = inner if self.bias is None else inner + self.bias[1]
        else:
            inner = ops.matmul(state, self.recurrent_kernel[:, : 2 * units])
        gates = self.cell.recurrent_activation(projected[:, : 2 * units] + inner[:, : 2 * units])
        z, r = gates[:, :units], gates[:, units:]
        if self.cell.reset_after:
            reset = r * inner[:, 2 * units :]
        else:
            reset = ops.matmul(r * state, self.recurrent_kernel[:, 2 * units :])
        candidate = self.cell.activation(projected[:, 2 * units :] + reset)
        hidden = z * hidden + (1.0 - z) * candidate
        return hidden, [hidden]


class _SimpleRNN(_Gates):
    """h' = tanh(...)."""

    def step(self, projected, late, states):
        hidden = self.cell.activation(projected + self.late_and_state(late, states[0]))
        return hidden, [hidden]


class _Stack:
    """Cells upon cells: only the lowest has anything to do before the loop."""

    def __init__(self, cell, early_width, training):
        lowest, *upper = cell.cells
        self.lowest = bind(lowest, early_width, training)
        self.upper = [bind(one, 0, training) for one in upper]
        self.sizes = [len(state_sizes(one)) for one in cell.cells]

    def draw(self, inputs):
        for one in (self.lowest, *self.upper):
            one.draw(inputs[:, :, :0])

    def project(self, inputs):
        for one in self.upper:
            one.draw(inputs[:, :, :0])
        return self.lowest.project(inputs)

    def step(self, projected, late, states):
        output, lowest = self.lowest.step(projected, late, states[: self.sizes[0]])
        return self._rise(output, lowest, states)

    def step_late(self, inputs, states):
        output, lowest = self.lowest.step_late(inputs, states[: self.sizes[0]])
        return self._rise(output, lowest, states)

    def _rise(self, output, next_states, states):
        """Take the step of the upper cells, on the output of the lowest."""
        start = self.sizes[0]
        for one, size in zip(self.upper, self.sizes[1:], strict=True):
            output, last = one.step_late(output, list(states[start : start + size]))
            next_states = next_states + last
            start += size
        return output, next_states


def state_sizes(cell) -> list[int]:
    """Return the widths of a cell's states, flat: of a stack, from the lowest cell up."""
    return [int(size) for size in keras.tree.flatten(cell.state_size)]


def output_size(cell) -> int:
    """Return the width of a cell's output, in features."""
    size = getattr(cell, "output_size", None)
    return int(size) if size is not None else state_sizes(cell)[0]


def query_index(cell) -> int:
    """Return the index, in a cell's flat states, of the hidden state of its topmost cell."""
    cells = cell.cells if isinstance(cell, keras.layers.StackedRNNCells) else [cell]
    return sum(len(state_sizes(one)) for one in cells[:-1])


def _takes_training(cell) -> bool:
    return "training" in inspect.signature(cell.call).parameters

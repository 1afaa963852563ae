import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.layers.rnn.equations import bind, output_size, query_index, state_sizes
from tests import references
from tests.tools import assert_close, normal, set_weights, to_numpy

INPUTS = normal(2, 3, 12, seed=1)  # 5 features known before the loop, 7 that come late


class DecayCell(keras.layers.Layer):
    """A cell that is not taken apart: h' = rate h + (1 - rate) W x, with one bare state."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.state_size), name="kernel")

    def call(self, inputs, states):
        hidden = 0.75 * states[0] + 0.25 * ops.matmul(inputs, self.kernel)
        return hidden, hidden


CELLS = {
    "lstm": lambda **kwargs: keras.layers.LSTMCell(7, **kwargs),
    "gru_reset_after": lambda **kwargs: keras.layers.GRUCell(7, **kwargs),
    "gru_reset_before": lambda **kwargs: keras.layers.GRUCell(7, reset_after=False, **kwargs),
    "simple": lambda **kwargs: keras.layers.SimpleRNNCell(7, **kwargs),
}
ANY_CELL = CELLS | {
    "stack": lambda: keras.layers.StackedRNNCells(
        [
            keras.layers.LSTMCell(5),
            keras.layers.GRUCell(7, use_bias=False),
            keras.layers.SimpleRNNCell(3),
            keras.layers.LSTMCell(7, use_bias=False),
        ]
    ),
    "stack_with_own": lambda: keras.layers.StackedRNNCells([DecayCell(5), DecayCell(7)]),
    "own": lambda: DecayCell(7),
}


def built(cell, width=12):
    cell.build((2, width))
    set_weights(cell)
    return cell


def states_for(cell):
    return [
        ops.convert_to_tensor(normal(2, size, seed=i)) for i, size in enumerate(state_sizes(cell))
    ]


def run(equations, early, late, states):
    projected = equations.project(ops.convert_to_tensor(early))
    outputs = []
    for t in range(3):
        late_t = None if late is None else ops.convert_to_tensor(late[:, t])
        output, states = equations.step(projected[:, t], late_t, states)
        outputs.append(output)
    return outputs, states


def call_the_cell(cell, inputs, states):
    nested = isinstance(cell, keras.layers.StackedRNNCells)
    states = keras.tree.pack_sequence_as(cell.state_size, states) if nested else states
    outputs = []
    for t in range(3):
        output, states = cell(ops.convert_to_tensor(inputs[:, t]), states)
        states = states if isinstance(states, (list, tuple)) else [states]
        outputs.append(output)
    return outputs, keras.tree.flatten(states)


@pytest.mark.parametrize("early_width", [5, 12])
@pytest.mark.parametrize("name", ANY_CELL)
def test_bound_equations_equal_the_cell(name, early_width):
    cell = built(ANY_CELL[name]())
    late = INPUTS[:, :, early_width:] if early_width < 12 else None
    found = run(bind(cell, early_width), INPUTS[:, :, :early_width], late, states_for(cell))
    assert_close(found, call_the_cell(cell, INPUTS, states_for(cell)))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_bound_equations_follow_the_paper(name, use_bias):
    cell = built(CELLS[name](use_bias=use_bias))
    weights = [ops.convert_to_numpy(weight) for weight in cell.weights]
    step = {"lstm": references.lstm_step, "simple": references.simple_rnn_step}
    options = {"reset_after": name == "gru_reset_after"} if "gru" in name else {}
    outputs, states = [], to_numpy(states_for(cell))
    for t in range(3):
        step_of = step.get(name, references.gru_step)
        output, states = step_of(INPUTS[:, t], states, *weights, **options)
        outputs.append(output)
    found = run(bind(cell, 5), INPUTS[:, :, :5], INPUTS[:, :, 5:], states_for(cell))
    assert_close(found, (outputs, states))


@pytest.mark.parametrize("name", CELLS)
def test_dropout_is_off_at_inference(name):
    plain, dropping = CELLS[name](), CELLS[name](dropout=0.5, recurrent_dropout=0.5)
    found = [
        run(bind(built(cell), 5), INPUTS[:, :, :5], INPUTS[:, :, 5:], states_for(cell))
        for cell in (plain, dropping)
    ]
    assert_close(*found, tolerance=0.0)


@pytest.mark.parametrize("name", CELLS)
def test_one_dropout_mask_serves_all_steps(name):
    cell = built(CELLS[name](dropout=0.5, recurrent_dropout=0.5))
    equations = bind(cell, 5, training=True)
    projected = equations.project(ops.ones((2, 3, 5)))
    assert_close(projected[:, 1:], projected[:, :-1])  # Equal inputs, equally dropped
    late, states = ops.ones((2, 7)), states_for(cell)
    first = equations.step(projected[:, 0], late, states)
    assert_close(equations.step(projected[:, 1], late, states), first)


def linear_cell(**dropout):
    """h' = h + x, were it not for dropout."""
    cell = keras.layers.SimpleRNNCell(53, activation="linear", **dropout)
    cell.build((2, 53))
    cell.set_weights([np.eye(53), np.eye(53), np.zeros(53)])
    return cell


@pytest.mark.parametrize("stacked", [False, True])
def test_recurrent_dropout_drops_the_same_features_at_each_step(stacked):
    cell = linear_cell(recurrent_dropout=0.5)
    if stacked:
        cell = keras.layers.StackedRNNCells([cell, linear_cell(recurrent_dropout=0.5)])
        cell.built = True
    states = [ops.ones((2, 53)) for _ in state_sizes(cell)]
    _, ends = run(
        bind(cell, 53, training=True), np.zeros((2, 3, 53), dtype="float32"), None, states
    )
    lowest = to_numpy(ends[0])
    # What is kept is doubled at each of three steps; what is dropped is dropped at once.
    assert set(np.unique(lowest)) == {0.0, 8.0}
    assert abs(np.mean(lowest > 0.0) - 0.5) < 4 * (0.25 / lowest.size) ** 0.5


@pytest.mark.parametrize("early_width", [53, 23])
def test_dropout_scales_what_it_keeps(early_width):
    cell = linear_cell(dropout=0.5)
    inputs = np.ones((2, 3, 53), dtype="float32")
    late = inputs[:, :, early_width:] if early_width < 53 else None
    equations = bind(cell, early_width, training=True)
    outputs, _ = run(equations, inputs[:, :, :early_width], late, [ops.zeros((2, 53))])
    first = to_numpy(outputs[0])
    assert set(np.unique(first)) == {0.0, 2.0}
    assert_close(outputs[2], 3.0 * first)


def test_the_topmost_hidden_state_is_the_query():
    stack = ANY_CELL["stack"]()
    assert state_sizes(stack) == [5, 5, 7, 3, 7, 7]
    assert query_index(stack) == 4
    assert output_size(stack) == 7
    assert query_index(keras.layers.LSTMCell(7)) == 0
    assert (state_sizes(DecayCell(7)), output_size(DecayCell(7))) == ([7], 7)


@pytest.mark.parametrize("place", ["lowest", "upper"])
def test_a_stack_in_a_stack_is_one_stack(place):
    cells = [keras.layers.GRUCell(5), keras.layers.LSTMCell(5), keras.layers.SimpleRNNCell(7)]
    flat = built(keras.layers.StackedRNNCells(cells))
    two = cells[:2] if place == "lowest" else cells[1:]
    inner = keras.layers.StackedRNNCells(two)
    nested = [inner, cells[2]] if place == "lowest" else [cells[0], inner]
    nested = keras.layers.StackedRNNCells(nested)
    inner.built = nested.built = True

    def step(cell):
        equations = bind(cell, 5)
        late = ops.convert_to_tensor(INPUTS[:, 0, 5:])
        projected = equations.project(ops.convert_to_tensor(INPUTS[:, :, :5]))
        return equations.step(projected[:, 0], late, states_for(flat))

    assert_close(step(nested), step(flat))

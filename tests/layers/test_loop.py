import numpy as np
import pytest
from keras import ops

from attnzoo.layers.loop import run_loop
from tests.tools import assert_close, normal

pytestmark = pytest.mark.usefixtures("without_compilation")
INPUTS = normal(2, 3, 5)


def add(inputs, state):
    total = state["total"] + inputs
    return total, {"total": total, "steps": (state["steps"][0] + 1.0,)}


def test_the_state_goes_from_step_to_step():
    start = {"total": ops.ones((2, 5)), "steps": (ops.zeros((2, 1)),)}
    outputs, state = run_loop(add, ops.convert_to_tensor(INPUTS), start, "float32")
    expected = 1.0 + np.cumsum(INPUTS, axis=1)
    assert_close(outputs, expected)
    assert_close(state, {"total": expected[:, -1], "steps": (np.full((2, 1), 3.0),)})


def test_backwards_outputs_stand_in_the_order_in_which_they_were_made():
    start = {"total": ops.zeros((2, 5)), "steps": (ops.zeros((2, 1)),)}
    outputs, _ = run_loop(add, ops.convert_to_tensor(INPUTS), start, "float32", go_backwards=True)
    assert_close(outputs, np.cumsum(INPUTS[:, ::-1], axis=1))


@pytest.mark.parametrize("state", [(), {"nothing": ()}], ids=str)
def test_a_loop_may_carry_nothing(state):
    outputs, last = run_loop(
        lambda inputs, state: (2.0 * inputs, state), ops.convert_to_tensor(INPUTS), state, "float32"
    )
    assert_close(outputs, 2.0 * INPUTS)
    assert last == state

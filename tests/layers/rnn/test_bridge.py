import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, normal, set_weights

FINAL_STATES = [normal(2, 5, seed=1), normal(2, 7, seed=2)]


def test_dense_sees_all_final_states():
    bridge = layers.Bridge([7, 3])
    bridge([ops.convert_to_tensor(state) for state in FINAL_STATES])
    set_weights(bridge)
    joined = np.concatenate(FINAL_STATES, axis=-1).astype("float64")
    expected = [
        np.tanh(joined @ ops.convert_to_numpy(dense.kernel) + ops.convert_to_numpy(dense.bias))
        for dense in bridge.dense
    ]
    assert [state.shape for state in expected] == [(2, 7), (2, 3)]
    assert_close(bridge([ops.convert_to_tensor(state) for state in FINAL_STATES]), expected)


def test_copy_copies():
    assert_close(layers.Bridge([5, 7], kind="copy")(FINAL_STATES), FINAL_STATES, tolerance=0.0)


def test_zeros_sees_nothing():
    found = layers.Bridge([3], kind="zeros")(FINAL_STATES)
    assert_close(found, [np.zeros((2, 3))], tolerance=0.0)


def test_copy_needs_equal_widths():
    with pytest.raises(ValueError, match=r"Received: encoder states \[5, 7\], .*\[7, 5\]"):
        layers.Bridge([7, 5], kind="copy")(FINAL_STATES)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"'dense', 'copy', 'zeros'.* Received: \w+='linear'"):
        layers.Bridge([7], kind="linear")


def test_a_state_without_width_is_refused():
    with pytest.raises(ValueError, match="`state_size` must be .* Received: state_size=0"):
        layers.Bridge([7, 0])

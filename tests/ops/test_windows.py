import keras
import numpy as np
import pytest

from attnzoo.ops import gather_windows, spread_windows
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, to_numpy

ROWS = normal(2, 11, 5, seed=1)
WEIGHTS = normal(2, 3, 7, seed=2)
FIRST = np.array([[-3, 0, 2], [4, 9, -8]], dtype="int32")  # The last window is all outside.

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def in_place(first, width, length):
    """Which place each row of each window is, and whether there is such a place."""
    places = first[:, :, None] + np.arange(width)
    return places, (places >= 0) & (places < length)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:, :, 0], ROWS[:, :, 0] > 0.0])
def test_a_window_is_a_stretch_of_rows(rows):
    places, _ = in_place(FIRST, 7, 11)
    expected = np.stack([rows[b][np.clip(places[b], 0, 10)] for b in range(2)])
    windows = to_numpy(gather_windows(rows, FIRST, 7))
    assert windows.dtype == rows.dtype
    np.testing.assert_array_equal(windows, expected)


def test_a_window_may_be_longer_than_the_memory():
    windows = to_numpy(gather_windows(np.array([[10.0, 11.0]], "float32"), [[-1]], 5))
    np.testing.assert_array_equal(windows, [[[10.0, 10.0, 11.0, 11.0, 11.0]]])


def test_spread_weights_are_where_they_belong():
    places, inside = in_place(FIRST, 7, 11)
    expected = np.zeros((2, 3, 11), "float32")
    for b, t, w in zip(*np.nonzero(inside), strict=True):
        expected[b, t, places[b, t, w]] = WEIGHTS[b, t, w]
    np.testing.assert_array_equal(to_numpy(spread_windows(WEIGHTS, FIRST, 11)), expected)


def test_small_cases_are_as_in_the_docstrings():
    windows = gather_windows(np.array([[10.0, 11.0, 12.0, 13.0]]), np.array([[-1, 2]]), 3)
    assert_close(windows, np.array([[[10.0, 10.0, 11.0], [12.0, 13.0, 13.0]]]))
    spread = spread_windows(np.array([[[0.2, 0.3, 0.5]]]), np.array([[1]]), 5)
    assert_close(spread, np.array([[[0.0, 0.2, 0.3, 0.5, 0.0]]]))


@pytest.mark.parametrize("compiled", [False, True, "xla"])
def test_gradients_go_back_to_where_the_rows_came_from(compiled):
    upstream = normal(2, 3, 7, 5, seed=3)
    _, (gradient,) = outputs_and_gradients(
        lambda rows: gather_windows(rows, FIRST, 7), [ROWS], upstream, compiled=compiled
    )
    places, _ = in_place(FIRST, 7, 11)
    expected = np.zeros_like(ROWS, dtype="float64")
    for b, t, w in np.ndindex(2, 3, 7):
        expected[b, np.clip(places[b, t, w], 0, 10)] += upstream[b, t, w]
    assert_close(gradient, expected.astype("float32"), tolerance=1e-5)


@pytest.mark.parametrize("compiled", [False, True, "xla"])
def test_gradients_of_spread_weights_are_gathered(compiled):
    upstream = normal(2, 3, 11, seed=3)
    _, (gradient,) = outputs_and_gradients(
        lambda weights: spread_windows(weights, FIRST, 11), [WEIGHTS], upstream, compiled=compiled
    )
    places, inside = in_place(FIRST, 7, 11)
    taken = np.take_along_axis(upstream, np.clip(places, 0, 10), axis=-1)
    assert_close(gradient, np.where(inside, taken, 0.0).astype("float32"))


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_may_be_unknown_while_tracing(jit_compile):
    import tensorflow as tf

    def both(rows, first):
        windows = gather_windows(rows, first, 7)
        return windows, spread_windows(windows[..., 0], first, tf.shape(rows)[1])

    signature = [
        tf.TensorSpec([None, None, 5], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
    ]
    traced = tf.function(both, input_signature=signature, jit_compile=jit_compile)
    for rows, first in ((ROWS, FIRST), (ROWS[:1, :4], FIRST[:1, :2])):
        windows, spread = traced(rows, first)
        assert_close(windows, gather_windows(rows, first, 7))
        assert_close(spread, spread_windows(windows[..., 0], first, rows.shape[1]))


def test_a_window_holds_a_row():
    with pytest.raises(ValueError, match="`width` must be at least 1. Received: width=0"):
        gather_windows(ROWS, FIRST, 0)

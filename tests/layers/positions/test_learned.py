import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

X = normal(2, 11, 5, seed=1)


def built(max_length):
    position = layers.LearnedPosition(max_length)
    position.build(X.shape)
    set_weights(position)
    return position


def test_each_position_has_its_vector():
    position = built(13)
    table = weights_of(position)["table"]
    assert table.shape == (13, 5)
    assert_close(position(X), X + table[:11])
    places = np.array([12, 0, 5], dtype="int32")
    assert_close(position(X[:, :3], places), X[:, :3] + table[places])


def test_a_table_that_is_just_long_enough_will_do():
    assert np.all(np.isfinite(to_numpy(built(11)(X))))


def test_a_table_that_is_too_short_is_refused_with_a_remedy():
    with pytest.raises(
        ValueError,
        match=r"at most `max_length`=7 tokens .* Received: x.shape=\(2, 11, 5\). Give .* a larger",
    ):
        built(7)(X)
    with pytest.raises(ValueError, match=r"Received: x.shape=\(None, 11, 5\)"):
        layers.LearnedPosition(7)(keras.Input((11, 5)))


def test_a_position_outside_of_the_table_is_nan():
    found = to_numpy(built(7)(X[:, :3], np.array([6, 7, -1], dtype="int32")))
    assert np.all(np.isfinite(found[:, 0]))
    assert np.all(np.isnan(found[:, 1:]))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Others know all sizes.")
def test_what_is_found_too_long_at_run_time_is_nan(jit_compile):
    import tensorflow as tf

    position = built(7)
    traced = tf.function(
        lambda x: position(x),
        input_signature=[tf.TensorSpec([None, None, 5])],
        jit_compile=jit_compile,
    )
    assert_close(traced(X[:, :7]), position(X[:, :7]))
    found = to_numpy(traced(X))
    assert np.all(np.isfinite(found[:, :7])) and np.all(np.isnan(found[:, 7:]))


def test_an_attention_cannot_build_it():
    with pytest.raises(ValueError, match="at the input of a model, .* Received: x_shape=None"):
        layers.LearnedPosition(7).build()


def test_no_length_is_refused():
    with pytest.raises(ValueError, match="`max_length` must be .* Received: max_length=0"):
        layers.LearnedPosition(0)


def test_masks_go_through():
    x = keras.layers.Masking()(ops.convert_to_tensor(X))
    assert_close(built(13)(x)._keras_mask, x._keras_mask)

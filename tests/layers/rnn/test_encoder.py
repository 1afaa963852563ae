import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy

INPUTS = normal(2, 11, 5, seed=1)
MASK = lengths_mask([11, 7], 11)


def built(*cells, **arguments):
    encoder = layers.RNNEncoder(*cells, **arguments)
    encoder.build(INPUTS.shape)
    set_weights(encoder)
    return encoder


def keras_layer(cell):
    """Keras's own layer with the weights of a cell."""
    kinds = {
        keras.layers.LSTMCell: keras.layers.LSTM,
        keras.layers.GRUCell: keras.layers.GRU,
        keras.layers.SimpleRNNCell: keras.layers.SimpleRNN,
    }
    options = {} if isinstance(cell, keras.layers.SimpleRNNCell) else {"use_cudnn": False}
    return kinds[type(cell)](7, return_sequences=True, return_state=True, **options)


def keras_encoder(forward, backward, inputs, mask):
    """Memory and final states as Keras's Bidirectional gives them; padding cut to zeros."""
    both = keras.layers.Bidirectional(
        keras_layer(forward), backward_layer=_backwards(keras_layer(backward))
    )
    inputs = ops.convert_to_tensor(inputs)
    both.build(inputs.shape)
    both.set_weights(forward.get_weights() + backward.get_weights())
    mask = None if mask is None else ops.convert_to_tensor(mask)
    memory, *states = both(inputs, mask=mask)
    if mask is not None:
        memory = ops.where(ops.expand_dims(mask, -1), memory, 0.0)
    return memory, states


def _backwards(layer):
    return type(layer).from_config(layer.get_config() | {"go_backwards": True})


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
@pytest.mark.parametrize(
    "kind", [keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell]
)
def test_an_encoder_equals_keras_bidirectional(kind, mask):
    forward, backward = kind(7), kind(7)
    encoder = built([forward], [backward])
    expected = keras_encoder(forward, backward, INPUTS, mask)
    tensors = {} if mask is None else {"mask": ops.convert_to_tensor(mask)}
    assert_close(encoder(INPUTS, **tensors), expected)


def test_layers_stand_upon_one_another():
    lower = keras.layers.LSTMCell(7), keras.layers.GRUCell(7)
    upper = keras.layers.SimpleRNNCell(7), keras.layers.LSTMCell(7)
    encoder = built([lower[0], upper[0]], [lower[1], upper[1]], dropout=0.5)
    between, _ = layers.RNNEncoder([lower[0]], [lower[1]])(INPUTS, mask=MASK)
    expected = layers.RNNEncoder([upper[0]], [upper[1]])(between, mask=MASK)
    assert [state.shape for state in expected[1]] == [(2, 7)] * 3
    assert_close(encoder(INPUTS, mask=MASK), expected)


def test_dropout_between_layers_is_for_training_alone():
    cells = [keras.layers.GRUCell(7), keras.layers.GRUCell(7)]
    encoder = built(cells, dropout=0.5)
    calm, wild = encoder(INPUTS)[0], encoder(INPUTS, training=True)[0]
    assert_close(encoder(INPUTS)[0], calm, tolerance=0.0)
    assert np.any(np.abs(to_numpy(wild - calm)) > 1e-3)


def test_one_direction_reads_forward():
    encoder = built([keras.layers.GRUCell(7)])
    memory, (state,) = encoder(INPUTS, mask=MASK)
    early, _ = encoder(INPUTS[:, :3])
    assert_close(memory[:, :3], early)
    assert_close(state, np.stack([to_numpy(memory)[0, 10], to_numpy(memory)[1, 6]]))


def test_a_mask_passes_to_the_memory():
    encoder = built([keras.layers.GRUCell(7)])
    mask = ops.convert_to_tensor(MASK)
    memory_mask, state_masks = encoder.compute_mask(None, mask)
    assert memory_mask is mask and state_masks == [None]


def cell():
    return keras.layers.GRUCell(7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cells": []}, "Received: 0 cells, 0 backward cells"),
        (
            {"cells": [cell(), cell()], "backward_cells": [cell()]},
            "Received: 2 cells, 1 backward cells",
        ),
        ({"cells": [cell()], "dropout": 1.0}, r"in \[0, 1\). Received: dropout=1.0"),
        ({"cells": [cell(), cell()], "dropout": -0.1}, r"in \[0, 1\). Received: dropout=-0.1"),
    ],
)
def test_what_is_no_stack_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.RNNEncoder(**arguments)

"""torch's own recurrent layers give what a loop of Keras's cells gives, and its gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.rnn import encoder as encoder_file
from attnzoo.layers.rnn.torch_rnn import can_fuse
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy

pytestmark = pytest.mark.only("torch")

INPUTS = normal(3, 11, 5, seed=1)
MASK = lengths_mask([11, 7, 0], 11)
HOLES = MASK & (np.arange(11) != 3)
KINDS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell}


def results(encoder, mask):
    """Memory, states and the gradients of all weights."""
    inputs = ops.convert_to_tensor(INPUTS)
    memory, states = encoder(inputs, mask=None if mask is None else ops.convert_to_tensor(mask))
    for weight in encoder.weights:
        weight.value.grad = None
    sum(ops.sum(ops.sin(one)) for one in (memory, *states)).backward()
    return memory, states, [to_numpy(weight.value.grad) for weight in encoder.weights]


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_one_operation_gives_what_the_loop_gives(kind, use_bias, mask, monkeypatch):
    cells = [KINDS[kind](7, use_bias=use_bias) for _ in range(2)]
    assert can_fuse(cells, True, None, "float32")
    encoder = layers.RNNEncoder(cells[:1], cells[1:])
    encoder.build(INPUTS.shape)
    set_weights(encoder)
    fused = results(encoder, mask)
    monkeypatch.setattr(encoder_file, "can_fuse", lambda *arguments: False)
    assert_close(fused, results(encoder, mask))


@pytest.mark.parametrize(
    ("cells", "training", "mask", "dtype"),
    [
        ([keras.layers.SimpleRNNCell(7)], False, None, "float32"),
        ([keras.layers.LSTMCell(7, activation="relu")], False, None, "float32"),
        ([keras.layers.GRUCell(7, reset_after=False)], False, None, "float32"),
        ([keras.layers.LSTMCell(7, recurrent_dropout=0.1)], True, None, "float32"),
        ([keras.layers.LSTMCell(7), keras.layers.LSTMCell(5)], False, None, "float32"),
        ([keras.layers.LSTMCell(7)], False, HOLES, "float32"),
        ([keras.layers.LSTMCell(7)], False, MASK[:, ::-1].copy(), "float32"),
        ([keras.layers.LSTMCell(7)], False, None, "float16"),
    ],
)
def test_what_torch_has_no_layer_for_runs_in_the_loop(cells, training, mask, dtype):
    mask = None if mask is None else ops.convert_to_tensor(mask)
    assert not can_fuse(cells, training, mask, dtype)


def test_holes_in_a_mask_keep_the_state():
    encoder = layers.RNNEncoder([keras.layers.LSTMCell(7)])
    memory, states = encoder(INPUTS[:1], mask=ops.convert_to_tensor(HOLES[:1]))
    shorter, final = encoder(np.delete(INPUTS[:1], 3, axis=1))
    assert_close(states, final)
    assert_close(np.delete(to_numpy(memory), 3, axis=1), shorter)

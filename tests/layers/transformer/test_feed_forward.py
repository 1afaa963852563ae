import math

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.transformer.feed_forward import GATES
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, set_weights, to_numpy

X = normal(2, 3, 5, seed=1)


def gelu(z):
    return z * 0.5 * (1.0 + np.vectorize(math.erf)(z / math.sqrt(2.0)))


def silu(z):
    return z * references.sigmoid(z)


def relu(z):
    return np.maximum(z, 0.0)


FUNCTIONS = {
    "relu": relu,
    "gelu": gelu,
    "glu": references.sigmoid,
    "reglu": relu,
    "geglu": gelu,
    "swiglu": silu,
}


def built(**arguments):
    layer = layers.FeedForward(7, **arguments)
    layer.build(X.shape)
    set_weights(layer)
    return layer


def pair(dense):
    bias = dense.bias if dense.use_bias else np.zeros(dense.units)
    return [ops.convert_to_numpy(weight) for weight in (dense.kernel, bias)]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_feed_forward_follows_its_equations(activation, use_bias):
    layer = built(activation=activation, use_bias=use_bias)
    gated = activation in GATES
    expected = references.feed_forward(
        X,
        pair(layer.hidden_dense),
        pair(layer.output_dense),
        FUNCTIONS[activation],
        pair(layer.gate_dense) if gated else None,
    )
    assert len(layer.weights) == (2 + gated) * (1 + use_bias)
    assert_close(layer(X), expected)


def test_each_token_is_alone():
    layer = built(activation="swiglu")
    whole = layer(X)
    assert_close(layer(X[:, 1:2]), whole[:, 1:2])
    assert_close(layer(X[:, 1]), whole[:, 1])


def test_an_activation_may_be_a_function():
    layer = built(activation=keras.activations.tanh)
    assert layer.get_config()["activation"] == "tanh"
    assert_close(layer(X), built(activation="tanh")(X), tolerance=0.0)


def test_dropout_acts_in_training_only_and_between_the_layers():
    layer = built(dropout=0.5)
    assert_close(layer(X), built()(X), tolerance=0.0)
    layer.hidden_dense.kernel.assign(np.zeros((5, 7), "float32"))
    layer.hidden_dense.bias.assign(np.ones(7, "float32"))
    layer.output_dense.kernel.assign(np.eye(7, 5, dtype="float32"))
    layer.output_dense.bias.assign(np.zeros(5, "float32"))
    found = to_numpy(layer(np.zeros((11, 13, 5), "float32"), training=True))
    assert set(np.unique(found)) == {0.0, 2.0}
    assert abs(found.mean() - 1.0) < 4.0 / math.sqrt(found.size)


@pytest.mark.parametrize("activation", ["relu", "swiglu"])
def test_it_trains_compiled_with_unknown_sizes(activation):
    layer, upstream = built(activation=activation), normal(2, 3, 5, seed=3)

    def run(compiled):
        return outputs_and_gradients(
            layer, [X], upstream, compiled=compiled, known=[[None, None, 5]]
        )

    assert_close(run("xla"), run(False))


def test_masks_go_through():
    x = keras.layers.Masking()(ops.convert_to_tensor(X))
    assert_close(built()(x)._keras_mask, x._keras_mask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 0}, "`hidden_dim` must be .* Received: hidden_dim=0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
        ({"activation": "gloo"}, "gloo"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.FeedForward(**{"hidden_dim": 7, **arguments})

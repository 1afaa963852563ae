"""Masks that Keras sends along reach whatever attends, on every road to it."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, normal, set_weights, to_numpy, without_compilation

V, D, N = 11, 8, 2
SHORT, PADDED = np.array([[1, 2, 3]]), np.array([[1, 2, 3, 0, 0]])

LAYERS = {
    "self_attention": lambda: layers.MultiHeadSelfAttention(N, 4),
    "encoder_block": lambda: layers.TransformerEncoderBlock(D, N, feed_forward_dim=7),
    "pooling": lambda: layers.AttentivePooling(7),
}


def embedded(ids):
    return keras.layers.Embedding(V, D, mask_zero=True)(ids)


def pooled(x):
    return keras.layers.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else x


def functional(layer):
    ids = keras.Input((None,), dtype="int32")
    return keras.Model(ids, pooled(layer(embedded(ids))))


def nested(layer):
    inner = keras.Input((None, D))
    return keras.Model(inner, layer(inner))


def sequential(layer):
    embedding = keras.layers.Embedding(V, D, mask_zero=True)
    return keras.Sequential([embedding, layer, keras.layers.GlobalAveragePooling1D()])


class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.embedding = keras.layers.Embedding(V, D, mask_zero=True)
        self.pooling = keras.layers.GlobalAveragePooling1D()
        self.layer = layer

    def call(self, ids):
        return self.pooling(self.layer(self.embedding(ids)))


@pytest.mark.parametrize(
    ("make_model", "layer"),
    [
        *((functional, layer) for layer in LAYERS),
        (lambda layer: functional(nested(layer)), "encoder_block"),
        (sequential, "self_attention"),
        (Subclassed, "self_attention"),
    ],
)
def test_padding_changes_no_prediction(make_model, layer):
    model = make_model(LAYERS[layer]())
    model.compile(jit_compile=keras.backend.backend() == "jax")
    with without_compilation():
        expected = to_numpy(model(ops.convert_to_tensor(SHORT)))
        assert_close(model(ops.convert_to_tensor(PADDED)), expected)
    assert_close(model.predict_on_batch(PADDED), expected)


def test_a_mask_over_pairs_takes_no_padding_along():
    attention = LAYERS["self_attention"]()
    pairs = ops.ones((5, 5), dtype="bool")
    x = embedded(ops.convert_to_tensor(PADDED))
    _, alignments = attention(x, attention_mask=pairs, return_alignments=True)
    assert np.all(to_numpy(alignments)[..., 3:] == 0.0)


def test_padding_before_the_first_token_changes_no_decoder():
    ids, memory = keras.Input((None,), dtype="int32"), keras.Input((None, 5))
    block = layers.TransformerDecoderBlock(D, N, feed_forward_dim=7)
    model = keras.Model([ids, memory], block(embedded(ids), memory))
    memory = normal(1, 4, 5)
    with without_compilation():
        expected = to_numpy(model([ops.convert_to_tensor(SHORT), ops.convert_to_tensor(memory)]))
    found = model.predict_on_batch([np.array([[0, 0, 1, 2, 3]]), memory])
    assert_close(found[:, 2:], expected)


def test_the_callers_mask_comes_before_what_keras_sends():
    attention = LAYERS["self_attention"]()
    mask = np.array([[True, True, False, False, False]])
    x = embedded(ops.convert_to_tensor(PADDED))
    _, alignments = attention(x, padding_mask=mask, return_alignments=True)
    assert np.all(to_numpy(alignments)[..., 2:] == 0.0)


@pytest.mark.parametrize("layer", LAYERS)
def test_time_distributed_hands_on_the_mask(layer):
    layer = LAYERS[layer]()
    x = normal(2, 3, 5, D)
    mask = np.arange(5) < np.array([[5, 2, 1], [3, 4, 5]])[..., None]  # [B, 3, T]
    inputs, mask_inputs = keras.Input((3, 5, D)), keras.Input((3, 5), dtype="bool")
    outputs = keras.layers.TimeDistributed(layer)(inputs, mask=mask_inputs)
    model = keras.Model([inputs, mask_inputs], outputs)
    set_weights(layer)
    with without_compilation():
        expected = [
            to_numpy(layer(ops.convert_to_tensor(x[:, n]), mask=ops.convert_to_tensor(mask[:, n])))
            for n in range(3)
        ]
    assert_close(model.predict_on_batch([x, mask]), np.stack(expected, axis=1))


# === A mask that was lost on the way ===


class Forgetful(keras.layers.Layer):
    """A layer that passes on no mask, as the recurrent layers of Keras 3.16 do."""

    def call(self, x):
        return x


def attending(memory, **arguments):
    query = keras.Input((None, D))
    return layers.BahdanauAttention(7)(query, memory, **arguments)


def warned(build) -> list[str]:
    """What `build` says of attention to padding, called with an embedding that sends a mask."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build(embedded(keras.Input((None,), dtype="int32")))
    return [str(one.message) for one in caught if "Padding will be" in str(one.message)]


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (attending, "memory_mask"),
        (lambda memory: attending(keras.layers.Dropout(0.1)(memory)), "memory_mask"),
        (LAYERS["encoder_block"](), "padding_mask"),
        (LAYERS["pooling"](), "mask"),
    ],
)
def test_a_lost_mask_is_told_of(build, argument):
    (message,) = warned(lambda x: build(Forgetful(name="forgetful")(x)))
    assert message == (
        "Padding will be attended to: 'forgetful' passes on no mask. Pass "
        f"`{argument}=` to the layer that attends."
    )


def test_a_mask_lost_in_an_operation_is_told_of():
    (message,) = warned(lambda x: attending(x * 2.0))
    assert "'multiply" in message


@pytest.mark.parametrize(
    "build",
    [
        attending,
        lambda x: attending(keras.Input((None, D))),
        lambda x: attending(Forgetful()(x), memory_mask=keras.Input((None,), dtype="bool")),
        lambda x: attending(nested(Forgetful())(x)),  # What happens in there is not seen here.
        lambda x: attending(ops.expand_dims(LAYERS["pooling"]()(x), 1)),  # There are no steps left.
        lambda x: attending(layers.LuongAttention()(keras.Input((None, D)), x)),  # Of the query.
        lambda x: attending(layers.RNNEncoder([keras.layers.GRUCell(5)])(x)[0]),
    ],
)
def test_nothing_is_said_where_no_mask_is_lost(build):
    assert warned(build) == []

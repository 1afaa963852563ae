"""What all layers share: shapes of outputs, seeds, and constructors that can be read."""

import inspect
import os
import subprocess
import sys

import keras
import pytest

from attnzoo import layers
from attnzoo.layers.base import constructor_arguments
from tests.tools import assert_close, normal, set_weights

X = normal(2, 3, 8)


def seeds(layer) -> list:
    """The states of seed generators in a layer."""
    return [one for one in layer.variables if "seed" in one.path]


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: layers.MultiHeadSelfAttention(2, 4), 0),
        (lambda: layers.MultiHeadSelfAttention(2, 4, dropout=0.1), 1),
        (lambda: layers.TransformerEncoderBlock(8, 2, feed_forward_dim=7), 0),
        (lambda: layers.TransformerEncoderBlock(8, 2, feed_forward_dim=7, dropout=0.1), 2),
        (lambda: layers.AttentivePooling(7), 0),
    ],
)
def test_only_what_draws_holds_seeds(make, count):
    layer = make()
    layer.build(X.shape)
    assert len(seeds(layer)) == count


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_files_with_seeds_that_nothing_draws_with_still_load(name, tmp_path):
    def make():
        attention = layers.MultiHeadSelfAttention(2, 4)
        inputs = keras.Input((None, 8))
        return keras.Model(inputs, attention(inputs)), attention

    model, attention = make()
    set_weights(attention)
    plain = model(X)
    # As files were written before: each attention had a generator.
    attention._tracker.unlock()
    attention.seed_generator = keras.random.SeedGenerator(3)
    path = str(tmp_path / name)
    if name.endswith(".keras"):
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded, _ = make()
        loaded.load_weights(path)
    assert_close(loaded(X), plain)


# === Shapes of outputs ===


def test_shapes_are_known_by_place_and_by_name():
    attention = layers.LuongAttention()
    by_place = attention.compute_output_shape((2, 3, 5), (2, 11, 7))
    assert by_place == (2, 3, 7)
    by_name = attention.compute_output_shape(
        query_shape=(2, 3, 5),
        memory_shape=[2, 11, 7],
        memory_mask_shape=(2, 11),
        attention_mask_shape=None,
        return_alignments=True,
    )
    assert by_name == ((2, 3, 7), (2, 3, 11))


def test_shapes_may_be_open():
    block = layers.TransformerDecoderBlock(8, 2, feed_forward_dim=7)
    shapes = block.compute_output_shape((None, None, 8), (None, None, 5), return_alignments=True)
    assert shapes == ((None, None, 8), (None, 2, None, None))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"same batch size. Received: query.shape=\(2, 3, 5\)"):
        layers.LuongAttention().compute_output_shape((2, 3, 5), (3, 11, 7))


# === Constructors, with Keras's NNX and without ===


class Hidden(type(keras.layers.Layer)):
    """As NNX makes classes: the class can be called with anything, its constructor cannot."""

    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class Score(keras.layers.Layer, metaclass=Hidden):
    def __init__(self, units: int, *, scale=None, **kwargs):
        super().__init__(**kwargs)


def test_a_constructor_is_read_where_the_class_hides_it():
    assert "units" not in inspect.signature(Score).parameters
    assert list(constructor_arguments(Score)) == ["units", "scale"]
    assert constructor_arguments(Score)["scale"].default is None


_UNDER_NNX = """
import numpy as np
from attnzoo import layers

x = np.ones((2, 3, 8), "float32")
layers.BahdanauAttention(units=4)(x, x)
layers.LuongAttention("dot", scale="learned")(x, x)
layers.MultiHeadAttention(2, 4, score="additive", units=4)(x, x)
layers.MultiHeadSelfAttention(2, 4, position="t5")(x)
layers.HardAttention("additive", units=4, estimator="gumbel").get_config()
layers.ReinforceAttention("additive", units=4).get_config()
block = layers.TransformerEncoderBlock(8, 2, feed_forward_dim=7, attention={"dropout": 0.1})
print("made", block(x).shape)
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="NNX is JAX's.")
def test_layers_are_made_under_nnx():
    pytest.importorskip("flax")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERAS_NNX_ENABLED": "true"}
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_NNX], env=environment, capture_output=True, text=True
    )
    assert "made (2, 3, 8)" in done.stdout, done.stderr

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.lookup import get_position
from attnzoo.layers.names import POSITIONS
from attnzoo.layers.positions.base import relative_positions
from tests.catalogue import PositionedAttention
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, set_weights

B, N, T, S, D = 2, 7, 3, 11, 14
QUERY, KEY = normal(B, N, T, D, seed=1), normal(B, N, S, D, seed=2)
SIZES = {"num_heads": N, "key_dim": D, "max_length": 13}
ARGUMENTS = {
    "relative": {"max_distance": 2, "values": True},
    "t5": {"num_buckets": 6, "max_distance": 5},
}
AT_INPUT = ("sinusoidal", "learned")
IN_ATTENTION = tuple(name for name in POSITIONS if name not in AT_INPUT)


def made(name):
    return get_position(name, **SIZES, **ARGUMENTS.get(name, {}))


def attention(name):
    layer = PositionedAttention(made(name))
    layer.build(QUERY.shape, KEY.shape)
    set_weights(layer)
    return layer


# === What every method does ===


@pytest.mark.parametrize("name", AT_INPUT)
def test_a_part_of_the_positions_gives_a_part_of_the_rows(name):
    position, x = made(name), normal(B, S, 5, seed=3)
    whole = position(x)
    part = position(x[:, 5:8], np.array([5, 6, 7], "int32"))
    assert position.at_input
    assert_close(part, whole[:, 5:8], tolerance=1e-6)


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_a_part_of_the_queries_gives_a_part_of_the_contexts(name):
    layer, query = attention(name), normal(B, N, S, D, seed=3)
    whole = layer(query, KEY)
    steps = np.arange(S, dtype="int32")
    part = layer(query[:, :, 5:8], KEY, steps[5:8], steps)
    assert not layer.position.at_input
    assert_close(part, tuple(tensor[:, :, 5:8] for tensor in whole))


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_only_the_distance_matters(name):
    # Of all that act in an attention this holds, and is why lengths never seen will do.
    layer, steps = attention(name), np.arange(S, dtype="int32")
    moved = layer(QUERY, KEY, steps[4:7] + 1000, steps + 1000)
    assert_close(moved, layer(QUERY, KEY, steps[4:7], steps), tolerance=1e-4)


@pytest.mark.parametrize("name", IN_ATTENTION[1:])
def test_a_method_tells_places_apart(name):
    layer, steps = attention(name), np.arange(S, dtype="int32")
    same = np.repeat(KEY[:, :, :1], S, axis=2)
    _, alignments = layer(QUERY, same, steps[4:7], steps)
    assert np.all(np.ptp(ops.convert_to_numpy(alignments), axis=-1) > 1e-3)


@pytest.mark.parametrize("name", POSITIONS)
def test_any_length_will_do_unless_there_is_a_table(name):
    steps = np.arange(1009, dtype="int32")
    if name in AT_INPUT:
        position = get_position(name, max_length=1009)
        found = position(normal(1, 1009, 5, seed=3))
    else:
        found = attention(name)(normal(1, N, 2, D), normal(1, N, 1009, D), steps[-2:], steps)
    for tensor in keras.tree.flatten(found):
        assert np.all(np.isfinite(ops.convert_to_numpy(tensor)))


@pytest.mark.parametrize("name", IN_ATTENTION)
@pytest.mark.parametrize("compiled", [True, "xla"])
def test_it_trains_compiled_with_unknown_sizes(name, compiled):
    layer, upstream = attention(name), normal(B, N, T, D, seed=3)

    def run(compiled):
        return outputs_and_gradients(
            lambda query, key: layer(query, key)[0],
            [QUERY, KEY],
            upstream,
            compiled=compiled,
            known=[[None, N, None, D]] * 2,
        )

    assert_close(run(compiled), run(False), tolerance=1e-4)


@pytest.mark.parametrize("name", ["relative", "t5"])
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Others know all sizes.")
def test_weights_train_under_xla_with_unknown_sizes(name):
    import tensorflow as tf

    layer, upstream = attention(name), normal(B, N, T, D, seed=3)
    weights = [weight.value for weight in layer.trainable_weights]

    def gradients(query, key):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(query, key)[0] * upstream)
        found = tape.gradient(total, weights)
        return [tf.convert_to_tensor(gradient) for gradient in found]

    signature = [tf.TensorSpec([None, N, None, D])] * 2
    traced = tf.function(gradients, input_signature=signature, jit_compile=True)
    assert_close(traced(QUERY, KEY), gradients(QUERY, KEY), tolerance=1e-4)


@pytest.mark.parametrize("name", IN_ATTENTION)
def test_half_precision_stays_near_even_far_out(name):
    layer = attention(name)
    steps = np.arange(S, dtype="int32") + 20011
    half = PositionedAttention(
        layer.position.from_config({**layer.position.get_config(), "dtype": "mixed_bfloat16"}),
        dtype="mixed_bfloat16",
    )
    half.build(QUERY.shape, KEY.shape)
    half.set_weights(layer.get_weights())
    found = half(QUERY, KEY, steps[4:7], steps)
    assert {keras.backend.standardize_dtype(tensor.dtype) for tensor in found} == {"bfloat16"}
    assert_close(found, layer(QUERY, KEY, steps[4:7], steps), tolerance=0.05)


def test_no_position_does_nothing():
    position, steps = layers.Position(), ops.arange(3)
    x = normal(B, T, 5)
    assert_close(position(x), x, tolerance=0.0)
    query, key = position.rotate(QUERY, KEY, steps, steps)
    assert query is QUERY and key is KEY
    assert position.bias(steps, steps) is None
    assert position.query_bias(QUERY, steps, steps) is None
    assert position.value_bias(QUERY, steps, steps) is None
    assert not position.needs_alignments


def test_what_came_before_is_below_zero():
    found = relative_positions(np.array([1, 5]), np.array([0, 1, 7]))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [[-1, 0, 6], [-5, -4, 2]])


# === Names, instances, serialized forms ===

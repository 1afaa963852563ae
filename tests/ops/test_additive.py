import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import attnzoo
from attnzoo.ops import additive, additive_scores
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, set_weights, to_numpy

ROOT = pathlib.Path(__file__).parents[2]

BATCH, QUERY_LENGTH, MEMORY_LENGTH, UNITS = 5, 3, 11, 7
QUERY = normal(BATCH, QUERY_LENGTH, UNITS, seed=1)
KEY = normal(BATCH, MEMORY_LENGTH, UNITS, seed=2)
VECTOR = normal(UNITS, seed=3)
UPSTREAM = normal(BATCH, QUERY_LENGTH, MEMORY_LENGTH, seed=4)

ROW = MEMORY_LENGTH * UNITS
EXAMPLE = QUERY_LENGTH * ROW
# Elements a block: one step; two of three steps; one example; two of five examples; all.
BLOCKS = [1, 2 * ROW, EXAMPLE, 2 * EXAMPLE, BATCH * EXAMPLE]

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def reference(query, key, vector, upstream):
    """Scores and the three gradients, by hand and in float64."""
    query, key, vector, upstream = (
        np.asarray(array, dtype="float64") for array in (query, key, vector, upstream)
    )
    hidden = np.tanh(query[:, :, None, :] + key[:, None, :, :])
    inner = upstream[..., None] * vector * (1.0 - hidden**2)
    vector_gradient = np.einsum("bts,btsu->u", upstream, hidden)
    return hidden @ vector, [inner.sum(axis=2), inner.sum(axis=1), vector_gradient]


def both(query, key, vector, upstream, **arguments):
    return outputs_and_gradients(additive_scores, [query, key, vector], upstream, **arguments)


@pytest.fixture
def in_blocks(monkeypatch):
    """Function that makes blocks hold at most so many elements, however small the whole is."""

    def set_elements(elements: int):
        monkeypatch.setattr(additive, "_WHOLE_ELEMENTS", 0)
        monkeypatch.setattr(additive, "_BLOCK_ELEMENTS", elements)

    return set_elements


def test_scores_and_gradients_follow_the_equation():
    assert_close(
        both(QUERY, KEY, VECTOR, UPSTREAM), reference(QUERY, KEY, VECTOR, UPSTREAM), tolerance=2e-5
    )


@pytest.mark.parametrize("elements", BLOCKS)
def test_blocks_of_any_size_give_the_numbers_of_the_whole(in_blocks, elements):
    whole = both(QUERY, KEY, VECTOR, UPSTREAM)
    in_blocks(elements)
    parts = both(QUERY, KEY, VECTOR, UPSTREAM, compiled=True)
    assert_close(parts, whole, tolerance=1e-5)
    assert_close(parts, reference(QUERY, KEY, VECTOR, UPSTREAM), tolerance=2e-5)


@pytest.mark.parametrize("elements", BLOCKS)
def test_no_block_is_larger_than_allowed(in_blocks, monkeypatch, elements):
    in_blocks(elements)
    sizes = []
    hidden = additive._hidden

    def record(query, key):
        result = hidden(query, key)
        sizes.append(int(np.prod(result.shape)))
        return result

    monkeypatch.setattr(additive, "_hidden", record)
    both(QUERY, KEY, VECTOR, UPSTREAM)
    assert sizes and max(sizes) <= max(elements, ROW)


@pytest.mark.parametrize("query_length", [1, QUERY_LENGTH])
def test_one_step_and_many_go_well_together(in_blocks, query_length):
    in_blocks(2 * ROW)
    query, upstream = QUERY[:, :query_length], UPSTREAM[:, :query_length]

    def twice(query, key, vector):
        return additive_scores(additive_scores(query, key, vector) @ key, key, vector)

    def twice_by_hand(query, key, vector):
        return additive._whole(additive._whole(query, key, vector) @ key, key, vector)

    tensors = [query, 0.1 * KEY, VECTOR]
    assert_close(
        outputs_and_gradients(twice, tensors, upstream, compiled=True),
        outputs_and_gradients(twice_by_hand, tensors, upstream),
        tolerance=1e-4,
    )


@on_tensorflow
@pytest.mark.parametrize("elements", [2 * ROW, 2 * EXAMPLE])
@pytest.mark.parametrize(
    ("known", "compiled"),
    [
        ((None, None, None), True),
        ((None, None, None), "xla"),
        ((None, QUERY_LENGTH, MEMORY_LENGTH), True),
        ((BATCH, None, MEMORY_LENGTH), True),
    ],
)
def test_sizes_may_be_unknown_while_tracing(in_blocks, known, elements, compiled):
    in_blocks(elements)
    batch, query_length, memory_length = known
    shapes = [(batch, query_length, UNITS), (batch, memory_length, UNITS), (UNITS,)]
    result = both(QUERY, KEY, VECTOR, UPSTREAM, compiled=compiled, known=shapes)
    assert_close(result, reference(QUERY, KEY, VECTOR, UPSTREAM), tolerance=2e-5)


@on_tensorflow
@pytest.mark.parametrize("compiled", [True, "xla"])
def test_one_step_of_unknown_batch_and_memory(compiled):
    shapes = [(None, 1, UNITS), (None, None, UNITS), (UNITS,)]
    arrays = QUERY[:, :1], KEY, VECTOR, UPSTREAM[:, :1]
    result = both(*arrays, compiled=compiled, known=shapes)
    assert_close(result, reference(*arrays), tolerance=2e-5)


@on_tensorflow
@pytest.mark.parametrize("sizes", [(0, 3, 11), (2, 0, 11), (2, 3, 0)])
def test_an_unknown_size_may_turn_out_to_be_zero(sizes):
    batch, query_length, memory_length = sizes
    arrays = normal(batch, query_length, UNITS), normal(batch, memory_length, UNITS), VECTOR
    shapes = [(None, None, UNITS), (None, None, UNITS), (UNITS,)]
    scores, gradients = both(*arrays, np.ones(sizes, "float32"), compiled=True, known=shapes)
    assert scores.shape == sizes
    for gradient, array in zip(gradients, arrays, strict=True):
        assert_close(gradient, np.zeros_like(array))


@on_tensorflow
def test_known_sizes_stay_known(in_blocks):
    import tensorflow as tf

    in_blocks(2 * ROW)
    shapes = []

    @tf.function
    def trace(query, key, vector):
        scores = additive_scores(query, key, vector)
        gradients = tf.gradients(scores, [query, key, vector])
        shapes.extend(tuple(tensor.shape) for tensor in (scores, *gradients))

    trace.get_concrete_function(*(tf.constant(array) for array in (QUERY, KEY, VECTOR)))
    assert shapes == [array.shape for array in (UPSTREAM, QUERY, KEY, VECTOR)]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("elements", [None, 2 * ROW])
def test_half_precision_is_summed_in_float32(in_blocks, dtype, elements):
    if elements is not None:
        in_blocks(elements)
    tensors = [ops.cast(array, dtype) for array in (QUERY, KEY, VECTOR)]
    scores = additive_scores(*tensors)
    assert keras.backend.standardize_dtype(scores.dtype) == dtype
    rounded = to_numpy(tensors)
    expected, gradients = reference(*rounded, to_numpy(ops.cast(UPSTREAM, dtype)))
    # What is left is one rounding of the result, and one of the gradients.
    one_rounding = 2.0**-8 if dtype == "bfloat16" else 2.0**-11
    assert_close(scores, ops.cast(expected.astype("float32"), dtype), tolerance=one_rounding)
    _, actual = outputs_and_gradients(additive_scores, tensors, UPSTREAM, compiled=True)
    assert_close(actual, gradients, tolerance=2.0 * one_rounding)


def test_mixed_dtypes_give_the_widest():
    query = ops.cast(QUERY, "bfloat16")
    scores = additive_scores(query, KEY, VECTOR)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    expected, _ = reference(to_numpy(query), KEY, VECTOR, UPSTREAM)
    assert_close(scores, expected.astype("float32"))


@pytest.mark.parametrize("elements", [None, 2 * ROW])
def test_a_saturated_tanh_stays_finite(in_blocks, elements):
    if elements is not None:
        in_blocks(elements)
    scores, gradients = both(1e30 * QUERY, KEY, VECTOR, UPSTREAM, compiled=True)
    assert np.all(np.abs(scores) <= np.abs(VECTOR).sum() + 1e-5)
    expected = reference(1e30 * QUERY, KEY, VECTOR, UPSTREAM)[1]
    assert_close(gradients, expected, tolerance=2e-5)


@pytest.mark.parametrize("sizes", [(BATCH, QUERY_LENGTH, MEMORY_LENGTH), (None, None, None)])
@pytest.mark.parametrize("elements", [None, 2 * ROW])
def test_it_is_one_node_of_a_functional_model(in_blocks, sizes, elements):
    if elements is not None:
        in_blocks(elements)
    batch, query_length, memory_length = sizes
    query = keras.Input((query_length, UNITS), batch_size=batch)
    key = keras.Input((memory_length, UNITS), batch_size=batch)
    scores = additive_scores(query, key, ops.convert_to_tensor(VECTOR))
    assert scores.shape == sizes
    model = keras.Model([query, key], scores)
    expected, _ = reference(QUERY, KEY, VECTOR, UPSTREAM)
    assert_close(model([QUERY, KEY]), expected.astype("float32"), tolerance=2e-5)
    predicted = model.predict([QUERY, KEY], batch_size=BATCH, verbose=0)
    assert_close(predicted, expected.astype("float32"), tolerance=2e-5)


@pytest.mark.parametrize(
    ("sizes", "jit_compile"),
    [
        ((QUERY_LENGTH, MEMORY_LENGTH), "auto"),
        ((None, None), "auto"),
        pytest.param((None, None), True, marks=on_tensorflow),
    ],
)
def test_a_model_trains_in_blocks_as_it_does_whole(in_blocks, sizes, jit_compile):
    query_length, memory_length = sizes

    def trained():
        query = keras.Input((query_length, UNITS))
        memory = keras.Input((memory_length, UNITS))
        scores = attnzoo.layers.AdditiveScore(units=UNITS)(query, memory)
        model = keras.Model([query, memory], scores)
        set_weights(model)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        model.fit([QUERY, KEY], UPSTREAM, batch_size=2, epochs=1, shuffle=False, verbose=0)
        return model.get_weights()

    whole = trained()
    in_blocks(2 * ROW)
    assert_close(trained(), whole)


def test_without_gradients_it_gives_the_same_scores(in_blocks):
    in_blocks(2 * ROW)
    tensors = [ops.convert_to_tensor(array) for array in (QUERY, KEY, VECTOR)]
    expected, _ = reference(QUERY, KEY, VECTOR, UPSTREAM)
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            scores = additive_scores(*tensors)
        assert not scores.requires_grad
    else:
        scores = additive_scores(*tensors)
    assert_close(scores, expected.astype("float32"), tolerance=2e-5)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="`vmap` is JAX's.")
def test_it_may_be_mapped_over_one_more_axis(in_blocks):
    import jax

    in_blocks(2 * ROW)

    def total(query, key, vector):
        return (additive_scores(query, key, vector) * UPSTREAM).sum()

    queries = np.stack([QUERY, 2.0 * QUERY])
    gradients = jax.vmap(jax.grad(total), in_axes=(0, None, None))(queries, KEY, VECTOR)
    for query, gradient in zip(queries, gradients, strict=True):
        expected = reference(query, KEY, VECTOR, UPSTREAM)[1][0]
        assert_close(gradient, expected.astype("float32"), tolerance=2e-5)


@pytest.mark.shared("torch")  # Blocks are cut alike on all.
def test_memory_stays_far_below_the_whole():
    # [B, T, S, U] alone would take 512 MiB, and the plain gradient several times that.
    program = """
import resource
import numpy as np
from attnzoo.ops import additive_scores
from tests.ops.differentiation import outputs_and_gradients

def run(batch, length, units):
    states = np.ones((batch, length, units), "float32")
    upstream = np.ones((batch, length, length), "float32")
    tensors = [states, states, states[0, 0]]
    outputs_and_gradients(additive_scores, tensors, upstream, compiled=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB, on Linux

before = run(2, 128, 64)
print(run(2, 512, 256) - before)
"""
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
    assert float(child.stdout.split()[-1]) < 256


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 7), (5, 11, 7), (7,)),
        ((2, 3, 7), (2, 11, 5), (7,)),
        ((2, 3, 7), (2, 11, 7), (5,)),
        ((2, 3, 7), (2, 11, 7), (7, 1)),
        ((3, 7), (2, 11, 7), (7,)),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_shapes_that_do_not_fit_are_refused(shapes, symbolic):
    make = keras.KerasTensor if symbolic else np.ones
    with pytest.raises(ValueError, match="must have one batch size and one width") as error:
        additive_scores(*map(make, shapes))
    for name, shape in zip(("query", "key", "vector"), shapes, strict=True):
        assert f"{name}={shape}" in str(error.value)

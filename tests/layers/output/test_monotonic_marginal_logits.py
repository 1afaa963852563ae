import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.ops import masked_softmax
from tests import references
from tests.ops.differentiation import outputs_and_gradients, slopes
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

eagerly = pytest.mark.usefixtures("without_compilation")

B, T, S, DQ, DM, U, V = 2, 3, 11, 5, 13, 7, 17
OUTPUTS, MEMORY = normal(B, T, DQ, seed=1), normal(B, S, DM, seed=2)
LENGTHS = [11, 7]
MASK = lengths_mask(LENGTHS, S)
ALIGNMENTS = references.softmax(normal(B, T, S, seed=3), MASK[:, None]).astype("float32")
TOKEN_IDS = np.random.default_rng(4).integers(0, V, size=(B, T)).astype("int32")
CHAINS = [{"order": 0}, {"order": 1}, {"max_jump": 1}, {"max_jump": 13}]


def built(outputs=OUTPUTS, memory=MEMORY, vocabulary_size=V, **arguments):
    layer = layers.MonotonicMarginalLogits(vocabulary_size, hidden_dim=U, **arguments)
    layer.build(outputs.shape, memory.shape)
    set_weights(layer)
    return layer


def said(log_probs, token_ids):
    """Log p, at each place, of what each step said: the token that enters at the next one."""
    steps = np.arange(len(token_ids))
    return log_probs[steps, :, np.roll(token_ids, -1)]  # Of the last step it does not matter.


def expected(layer, kept=None):
    results, priors = np.zeros((B, T, V)), np.zeros((B, T, S))
    for b, length in enumerate(LENGTHS):
        moves, log_probs = references.monotone_chain(
            OUTPUTS[b],
            MEMORY[b, :length],
            ALIGNMENTS[b, :, :length],
            kept=None if kept is None else kept[b],
            **weights_of(layer),
        )
        prior = references.forward_places(moves, said(log_probs, TOKEN_IDS[b]))
        priors[b, :, :length] = prior
        results[b] = np.log(np.einsum("ts,tsv->tv", prior, np.exp(log_probs)))
    return results, priors


def call(layer, **arguments):
    arguments = {"memory_mask": MASK, "token_ids": TOKEN_IDS, **arguments}
    return layer(OUTPUTS, MEMORY, ALIGNMENTS, return_alignments=True, **arguments)


@eagerly
@pytest.mark.parametrize("arguments", CHAINS, ids=str)
def test_each_step_reads_on_from_where_the_targets_say_it_stood(arguments):
    layer = built(**arguments)
    assert_close(call(layer), expected(layer))


@eagerly
def test_without_a_mask_all_places_are_real():
    layer = built()
    everything = call(layer, memory_mask=np.ones((B, S), dtype=bool))
    assert_close(call(layer, memory_mask=None), everything, tolerance=0.0)


# One source of five places and two of padding, and a target of three tokens after its start.
REAL, ENTERED, TARGETS = 5, np.array([[4, 2, 0]]), np.array([2, 0, 3])


@pytest.mark.parametrize("compiled", [True, "xla"])
@pytest.mark.parametrize("arguments", CHAINS[:2], ids=str)
def test_the_loss_is_that_of_all_paths_one_by_one(arguments, compiled):
    if compiled == "xla" and keras.backend.backend() != "tensorflow":
        pytest.skip("Only TensorFlow has to be asked for XLA.")
    mask = np.arange(7) < REAL
    outputs, memory = normal(1, 3, 2, seed=1), normal(1, 7, 2, seed=2)
    layer = built(outputs, memory, 5, **arguments)
    weights = weights_of(layer)

    def enumerated(outputs, memory, scores):
        alignments = references.softmax(scores[0, :, :REAL])
        moves, log_probs = references.monotone_chain(
            outputs[0], memory[0, :REAL], alignments, **weights
        )
        log_probs = log_probs[np.arange(3), :, TARGETS]
        return references.enumerated_monotone_loss(moves, log_probs)

    def loss(outputs, memory, scores):
        alignments = masked_softmax(scores, ops.convert_to_tensor(mask))
        log_probs = layer(outputs, memory, alignments, memory_mask=mask[None], token_ids=ENTERED)
        return -ops.sum(log_probs[0] * ops.one_hot(TARGETS, 5))

    problem = [outputs, memory, normal(1, 3, 7, seed=3)]
    found, gradients = outputs_and_gradients(loss, problem, 1.0, compiled=compiled)
    problem = [tensor.astype("float64") for tensor in problem]
    np.testing.assert_allclose(found, enumerated(*problem), rtol=1e-5)
    for gradient, slope in zip(gradients, slopes(enumerated, problem), strict=True):
        assert np.abs(slope).max() > 1e-2
        np.testing.assert_allclose(gradient, slope, atol=5e-6, rtol=1e-4)


@eagerly
@pytest.mark.parametrize("arguments", CHAINS[:2], ids=str)
def test_step_by_step_it_says_the_same_to_each_of_several_beams(arguments):
    layer = built(**arguments)
    beams = 2
    outputs = normal(beams, B, T, DQ, seed=5)
    alignments = references.softmax(normal(beams, B, T, S, seed=6), MASK[:, None])
    alignments = alignments.astype("float32")
    token_ids = np.random.default_rng(7).integers(0, V, size=(beams, B, T)).astype("int32")
    wholes = [
        layer(
            outputs[k], MEMORY, alignments[k], MASK, token_ids=token_ids[k], return_alignments=True
        )
        for k in range(beams)
    ]

    def rows(array, t):  # [K, B, T, ...] to [B * K, ...]
        array = np.swapaxes(array[:, :, t], 0, 1)
        return ops.convert_to_tensor(array.reshape(B * beams, *array.shape[2:]))

    prepared = layer.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = keras.tree.map_structure(
        lambda leaf: ops.repeat(leaf, beams, axis=0), layer.initial_state(prepared)
    )
    for t in range(T):
        log_probs, places, state = layer.step(
            rows(outputs, t), rows(alignments, t), rows(token_ids, t), prepared, state
        )
        for k, whole in enumerate(wholes):
            found = (log_probs[k::beams], places[k::beams])
            assert_close(found, tuple(part[:, t] for part in whole))


@eagerly
def test_dropout_drops_the_same_where_a_step_speaks_and_where_it_is_looked_back_on(monkeypatch):
    layer = built(dropout=0.5)
    assert_close(call(layer), expected(layer))  # Not outside of training.
    kept = 2.0 * (normal(B, T, U, seed=8) > 0).astype("float32")
    monkeypatch.setattr(
        layer, "draw_kept", lambda query, training: ops.convert_to_tensor(kept) if training else 1
    )
    assert_close(call(layer, training=True), expected(layer, kept))


@eagerly
def test_it_starts_at_the_first_real_place_wherever_that_is():
    layer = built()
    before = np.pad(MASK, [(0, 0), (3, 0)])
    log_probs, places = layer(
        OUTPUTS,
        np.pad(MEMORY, [(0, 0), (3, 0), (0, 0)], constant_values=9.0),
        np.pad(ALIGNMENTS, [(0, 0), (0, 0), (3, 0)], constant_values=9.0),
        memory_mask=before,
        token_ids=TOKEN_IDS,
        return_alignments=True,
    )
    assert np.all(to_numpy(places)[..., :3] == 0.0)
    assert_close((log_probs, places[..., 3:]), call(layer))


@pytest.mark.parametrize("arguments", CHAINS[:2], ids=str)
def test_long_sequences_stay_finite_with_their_gradients(arguments):
    length = 200
    outputs, memory = normal(1, length, DQ, seed=1), normal(1, length, DM, seed=2)
    layer = built(outputs, memory, 3, **arguments)
    layer.kernel.assign(30.0 * layer.kernel)
    token_ids = np.random.default_rng(4).integers(0, 3, size=(1, length)).astype("int32")

    def both(outputs, memory, scores):
        log_probs, places = layer(
            outputs, memory, masked_softmax(scores), token_ids=token_ids, return_alignments=True
        )
        return ops.concatenate([log_probs, places], axis=-1)

    tensors = [outputs, memory, 30.0 * normal(1, length, length, seed=3)]
    upstream = normal(1, length, 3 + length)
    found, gradients = outputs_and_gradients(both, tensors, upstream, compiled=True)
    for array in (found, *gradients):
        assert np.all(np.isfinite(array))
    np.testing.assert_allclose(found[..., 3:].sum(axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found[..., :3]).sum(axis=-1), 1.0, rtol=1e-4)


@eagerly
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_places_keep_their_precision_from_step_to_step(dtype):
    layer = built(dtype=dtype)
    exact = expected(layer)
    assert_close(ops.cast(call(layer)[0], "float32"), exact[0].astype("float32"), tolerance=0.1)
    prepared = layer.prepare(ops.cast(MEMORY, layer.compute_dtype), ops.convert_to_tensor(MASK))
    state = layer.initial_state(prepared)
    for t in range(T):
        step = [ops.cast(array[:, t], layer.compute_dtype) for array in (OUTPUTS, ALIGNMENTS)]
        dtypes = keras.tree.map_structure(lambda leaf: leaf.dtype, state)
        _, places, state = layer.step(
            *step, ops.convert_to_tensor(TOKEN_IDS[:, t]), prepared, state
        )
        assert keras.tree.map_structure(lambda leaf: leaf.dtype, state) == dtypes
        assert keras.backend.standardize_dtype(state["places"].dtype) == "float32"
        assert keras.backend.standardize_dtype(places.dtype) == layer.compute_dtype
        np.testing.assert_allclose(to_numpy(state["places"]).sum(axis=-1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 2}, "0 or 1. Received: order=2"),
        ({"order": True}, "Received: order=True"),
        ({"max_jump": 0}, "at least 1. Received: max_jump=0"),
        ({"max_jump": 1.5}, "whole number, .*Received: max_jump=1.5"),
        ({"order": 0, "max_jump": 3}, "use `max_jump=None`.*Received: max_jump=3 with order=0"),
        ({"vocabulary_size": 0}, "Received: vocabulary_size=0"),
        ({"dropout": 1.0}, r"in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"vocabulary_size": V, "hidden_dim": U, **arguments}
    with pytest.raises(ValueError, match=message):
        layers.MonotonicMarginalLogits(**arguments)


def test_without_tokens_it_is_refused_eagerly_and_symbolically():
    with pytest.raises(ValueError, match="`token_ids` must be given.*Received: token_ids=None"):
        built()(OUTPUTS, MEMORY, ALIGNMENTS)
    symbols = [keras.Input(shape) for shape in ((None, DQ), (None, DM), (None, None))]
    with pytest.raises(ValueError, match="`token_ids` must be given.*Received: token_ids=None"):
        built()(*symbols)

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.catalogue import NegativeDistance
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import (
    assert_close,
    compiled,
    lengths_mask,
    normal,
    set_weights,
    to_numpy,
    weights_of,
)

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)
LENGTHS = [11, 7]
MASK = lengths_mask(LENGTHS, 11)

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def built(attention, memory=MEMORY):
    attention.build(QUERY.shape, memory.shape)
    set_weights(attention, scale=1.0)
    return attention


def scores_of(attention, memory=MEMORY):
    weights = weights_of(attention.score)
    if isinstance(attention.score, layers.DotScore):
        return references.dot_scores(QUERY, memory)
    if isinstance(attention.score, layers.BilinearScore):
        return references.bilinear_scores(QUERY, memory, **weights)
    if isinstance(attention.score, layers.LocationScore):
        return references.location_scores(QUERY, memory.shape[1], **weights)
    return references.additive_scores(QUERY, memory, **weights)


def center_of(attention, lengths):
    """float [2, 3]."""
    if attention.mode == "monotonic":
        return np.minimum(np.arange(3), np.asarray(lengths)[:, None] - 1)
    weights = {n: w for n, w in weights_of(attention).items() if n.startswith("position")}
    return references.predicted_center(QUERY, lengths, **weights)


def found_and_expected(attention, lengths, normalize=references.softmax):
    mask = lengths_mask(lengths, 11)
    found = attention(QUERY, MEMORY, memory_mask=mask, return_alignments=True)
    expected = references.local_attention(
        scores_of(attention),
        MEMORY,
        center_of(attention, lengths),
        attention.window,
        mask[:, None, :],
        curve=attention.mode == "predictive",
        normalize=normalize,
    )
    return found, expected


# === The equations ===


@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
@pytest.mark.parametrize("window", [1, 2, 3, 13])
@pytest.mark.parametrize(
    "score",
    [
        {},
        {"score": "dot"},
        {"score": "additive", "units": 7},
        {"score": "location", "max_length": 13},
        {"score": layers.BilinearScore},
    ],
    ids=["default", "dot", "additive", "location", "instance"],
)
def test_alignments_follow_their_equation(score, window, mode):
    if isinstance(score.get("score"), type):
        score = {"score": score["score"]()}
    attention = built(layers.LocalAttention(**score, window=window, mode=mode))
    found, expected = found_and_expected(attention, LENGTHS)
    assert_close(found, expected)
    # A step alone gathers windows of 1 and 2 to each side from 11 places.
    assert_close(stepwise(attention), expected)


def stepwise(attention):
    """Context and alignments, one step after the other."""
    query = ops.convert_to_tensor(QUERY)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = attention.initial_state(prepared)
    found = []
    for t in range(3):
        *both, state = attention.step(query[:, t : t + 1], prepared, state)
        found.append(both)
    return tuple(ops.concatenate(parts, axis=1) for parts in zip(*found, strict=True))


@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize(("normalizer", "alpha"), [("sparsemax", 2.0), ("entmax15", 1.5)])
def test_a_window_may_be_normalized_sparsely(normalizer, alpha, window, mode):
    attention = built(layers.LocalAttention(window=window, mode=mode, normalizer=normalizer))

    def normalize(scores, mask):
        return references.entmax(scores, mask, alpha)

    found, expected = found_and_expected(attention, LENGTHS, normalize)
    assert_close(found, expected)
    assert_close(stepwise(attention), expected)


def test_without_a_mask_all_of_the_memory_counts():
    attention = built(layers.LocalAttention(window=2))
    whole = attention(QUERY, MEMORY, memory_mask=np.ones_like(MASK), return_alignments=True)
    assert_close(attention(QUERY, MEMORY, return_alignments=True), whole, tolerance=0.0)


def test_the_width_of_the_prediction_is_the_querys_unless_it_is_given():
    assert built(layers.LocalAttention()).position_kernel.shape == (5, 5)
    attention = built(layers.LocalAttention("additive", units=7, position_units=3))
    assert attention.position_kernel.shape == (5, 3)
    assert_close(*found_and_expected(attention, LENGTHS))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("window", [1, 4])
def test_a_center_on_the_edge_still_sees_a_real_place(window, sign):
    attention = built(layers.LocalAttention(window=window))
    attention.position_kernel.assign(np.eye(5, dtype="float32"))
    attention.position_vector.assign(np.full(5, 1e3, "float32"))
    query = np.full((2, 3, 5), sign, "float32")
    alignments = to_numpy(attention(query, MEMORY, memory_mask=MASK, return_alignments=True)[1])
    assert np.all(alignments.sum(axis=-1) > 0.0)
    edges = [0, 0] if sign < 0.0 else [10, 6]
    for row, edge in enumerate(edges):
        assert np.all(alignments[row, :, edge] > 0.0)
        outside = np.abs(np.arange(11) - (0 if sign < 0.0 else LENGTHS[row])) > window
        assert np.all(alignments[row][:, outside] == 0.0)


def test_past_the_end_the_monotonic_center_stays_on_the_last_place():
    attention = built(layers.LocalAttention(window=1, mode="monotonic"))
    found, expected = found_and_expected(attention, [2, 1])
    assert_close(found, expected)
    np.testing.assert_allclose(to_numpy(found[1]).sum(axis=-1), 1.0, rtol=1e-6)


# === Windows gathered, not masked ===


def both_roads(attention):
    """Functions of (query, memory) to context and alignments, one above the other."""

    def road(name):
        def run(query, memory):
            prepared = attention.prepare(memory, ops.convert_to_tensor(MASK))
            if attention.mode == "predictive":
                center = attention.predict_center(query, prepared["length"])
            else:
                steps = ops.convert_to_tensor(np.array([[[0.0], [4.0], [9.0]]], "float32"))
                center = attention.monotonic_center(steps, prepared["length"])
            found = getattr(attention, name)(query, prepared, center)
            return ops.concatenate(found, axis=-1)  # [B, T, Dv + S]

        return run

    return road("attend_everywhere"), road("attend_in_windows")


@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
@pytest.mark.parametrize("score", ["bilinear", "additive"])
def test_gathered_windows_give_the_same_numbers_and_gradients(score, mode):
    units = {"units": 7} if score == "additive" else {}
    attention = built(layers.LocalAttention(score, window=2, mode=mode, **units))
    results = [
        outputs_and_gradients(road, [QUERY, MEMORY], normal(2, 3, 16, seed=3), compiled=True)
        for road in both_roads(attention)
    ]
    assert_close(results[1], results[0], tolerance=1e-5)


def test_a_place_just_inside_the_window_is_in_it_on_both_roads():
    attention = built(layers.LocalAttention(window=2))
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), None)
    query = ops.convert_to_tensor(QUERY)
    for place in (0.0, 2.0, 5.0, 10.0):
        centers = np.float32(place) + np.array([-1e-6, 0.0, 1e-6], "float32")
        center = ops.convert_to_tensor(np.tile(centers[None, :, None], (2, 1, 1)))
        whole = attention.attend_everywhere(query, prepared, center)
        assert_close(attention.attend_in_windows(query, prepared, center), whole)


@pytest.mark.parametrize(
    ("query_length", "memory_length", "gathers"),
    [
        (1, 10, False),
        (1, 11, True),
        (3, 11, False),
        (3, 31, True),
        (1, None, True),
        (None, 99, False),
    ],
)
def test_windows_are_gathered_from_a_memory_that_is_longer_than_they_are(
    query_length, memory_length, gathers
):
    attention = layers.LocalAttention(window=2)
    assert attention.gathers(query_length, memory_length, None) is gathers
    assert attention.gathers(query_length, memory_length, ops.ones((3, 11), "bool")) is False
    attention = layers.LocalAttention("location", max_length=101, window=2)
    assert attention.gathers(query_length, memory_length, None) is False


@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
def test_a_step_compares_no_more_than_its_window(mode):
    compared = []

    class Counting(layers.BilinearScore):
        def compare(self, query, key):
            compared.append(tuple(key.shape))
            return super().compare(query, key)

    memory = normal(2, 101, 5, seed=4)
    attention = built(layers.LocalAttention(Counting(), window=2, mode=mode), memory)
    prepared = attention.prepare(ops.convert_to_tensor(memory))
    state = attention.initial_state(prepared)
    _, alignments, _ = attention.step(ops.convert_to_tensor(QUERY[:, :1]), prepared, state)
    assert compared == [(2, 5, 5)]  # [B K, 2 window + 1, D], of 101 places.
    assert tuple(alignments.shape) == (2, 1, 101)
    assert np.all(np.count_nonzero(to_numpy(alignments), axis=-1) <= 5)


def test_a_score_of_ones_own_works():
    attention = layers.LocalAttention(NegativeDistance(), window=1, mode="monotonic")
    distances = ((QUERY[:, :, None] - MEMORY[:, None]).astype("float64") ** 2).sum(-1)
    center = np.minimum(np.arange(3), np.array([[10], [6]]))
    expected = references.local_attention(
        -distances, MEMORY, center, 1, MASK[:, None, :], curve=False
    )
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True), expected)


@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
@pytest.mark.parametrize("window", [1, 4])
def test_a_mask_over_pairs_joins_the_window(window, mode):
    attention = built(layers.LocalAttention(window=window, mode=mode))
    pairs = np.arange(33).reshape(3, 11) % 3 > 0
    found = attention(QUERY, MEMORY, memory_mask=MASK, attention_mask=pairs, return_alignments=True)
    expected = references.local_attention(
        scores_of(attention),
        MEMORY,
        center_of(attention, LENGTHS),
        window,
        MASK[:, None, :] & pairs,
        curve=mode == "predictive",
    )
    assert_close(found, expected)


# === Steps ===


def test_hypotheses_side_by_side_keep_their_own_count():
    attention = built(layers.LocalAttention(window=1, mode="monotonic"))
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    counts = np.array([[[0.0, 0.0], [3.0, 0.0], [8.0, 0.0]]] * 2, dtype="float32")
    query = ops.convert_to_tensor(QUERY)
    _, alignments, state = attention.step(query, prepared, ops.convert_to_tensor(counts))
    center = np.minimum([[0, 3, 8]], np.array([[10], [6]]))
    _, expected = references.local_attention(
        scores_of(attention), MEMORY, center, 1, MASK[:, None, :], curve=False
    )
    assert_close(alignments, expected)
    assert_close(state, counts + np.array([1.0, 0.0], "float32"))


def test_half_precision_counts_far():
    attention = layers.LocalAttention("dot", window=1, mode="monotonic", dtype="bfloat16")
    memory = ops.zeros((1, 401, 5), dtype="bfloat16")
    attention.build((1, 1, 5), (1, 401, 5))
    prepared = attention.prepare(memory)
    state = ops.convert_to_tensor(np.array([[[126.0, 2.0]]]), dtype="bfloat16")  # Step 382.
    for step in range(382, 386):
        _, alignments, state = attention.step(memory[:, :1], prepared, state)
        places = np.flatnonzero(to_numpy(alignments)[0, 0])
        np.testing.assert_array_equal(places, [step - 1, step, step + 1])
    assert_close(state, np.array([[[2.0, 3.0]]], "float32"))


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mode", ["predictive", "monotonic"])
@pytest.mark.parametrize("steps", [None, 1])  # One step alone is gathered.
def test_sizes_may_be_unknown_while_tracing(steps, mode, jit_compile):
    import tensorflow as tf

    attention = built(layers.LocalAttention("additive", units=7, window=2, mode=mode))

    def both(query, memory, mask):
        with tf.GradientTape() as tape:
            found = attention(query, memory, memory_mask=mask, return_alignments=True)
            total = sum(tf.reduce_sum(tf.square(part)) for part in found)
        return found, tape.gradient(total, attention.trainable_weights[0].value)

    signature = [
        tf.TensorSpec([None, steps, 5], tf.float32),
        tf.TensorSpec([None, None, 5], tf.float32),
        tf.TensorSpec([None, None], tf.bool),
    ]
    traced = tf.function(both, input_signature=signature, jit_compile=jit_compile)
    for places in (11, 3):
        arguments = QUERY[:, :steps], MEMORY[:, :places], MASK[:, :places]
        assert_close(traced(*arguments), both(*arguments))


def test_a_decoder_trains_and_remembers_with_it():
    attention = layers.LocalAttention(window=1, mode="monotonic")
    cell = layers.AttentionCell(keras.layers.GRUCell(7), attention)
    rnn = layers.AttentionRNN(cell)
    rnn.build(QUERY.shape, MEMORY.shape)
    set_weights(rnn)
    inputs, memory = ops.convert_to_tensor(QUERY), ops.convert_to_tensor(MEMORY)
    run = compiled(
        lambda inputs, state: rnn(
            inputs, memory, initial_state=state, return_alignments=True, return_state=True
        )
    )
    _, alignments, state = run(inputs, None)
    _, more, _ = run(inputs, state)
    for t, row in enumerate(np.concatenate(to_numpy((alignments, more)), axis=1)[0]):
        places = [place for place in (t - 1, t, t + 1) if place >= 0]
        np.testing.assert_array_equal(np.flatnonzero(row), places)


# === What is refused ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "`window` must be a whole number, at least 1. Received: window=0"),
        ({"window": -2}, "Received: window=-2"),
        ({"window": 1.5}, "Received: window=1.5"),
        ({"mode": "global"}, r"`mode` must be one of \('pred.*'\). Received: mode='global'"),
        ({"position_units": 0}, "Received: position_units=0"),
        (
            {"mode": "monotonic", "position_units": 7},
            '`position_units` go with `mode="predictive"`.* Received: position_units=7',
        ),
        ({"score": "cosine"}, "`score` must be one of .* Received: score='cosine'"),
        ({"normalizer": "hard"}, "Received: normalizer='hard'"),
    ],
)
def test_what_makes_no_window_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.LocalAttention(**arguments)

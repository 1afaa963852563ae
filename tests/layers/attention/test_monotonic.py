import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import (
    assert_close,
    lengths_mask,
    normal,
    set_weights,
    to_numpy,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("without_compilation")
QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)
MASK = lengths_mask([11, 7], 11)
MODES = ["parallel", "recursive"]


def monotonic(score="additive", **arguments):
    if score == "additive":
        arguments = {"units": 7, **arguments}
    return built(layers.MonotonicAttention(score, **arguments))


def built(attention):
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    return attention


def probabilities(attention, noise=0.0):
    """What the equation of choosing asks for, in NumPy: [B, T, S]."""
    weights = weights_of(attention)
    bias = weights.pop("score_bias")
    if isinstance(attention.score, layers.AdditiveScore):
        scores = references.additive_scores(QUERY, MEMORY, **weights)
    else:
        scores = references.bilinear_scores(QUERY, MEMORY, **weights)
    return references.sigmoid(scores + bias + noise) * MASK[:, None, :]


def expected_alignments(choose):
    alignments, previous = [], np.eye(1, choose.shape[-1])
    for t in range(choose.shape[1]):
        previous = references.monotonic_alignments(
            choose[:, t], np.broadcast_to(previous, choose[:, t].shape)
        )
        alignments.append(previous)
    return np.stack(alignments, axis=1)


def walked_alignments(choose):
    return np.stack([references.monotonic_walk(one) for one in choose])


def run(attention, query=QUERY, memory=MEMORY, mask=MASK, **arguments):
    tensors = [ops.convert_to_tensor(array) for array in (query, memory, mask)]
    return attention(*tensors, return_alignments=True, **arguments)


def by_steps(attention, query=QUERY, memory=MEMORY, mask=MASK):
    query, memory = (ops.convert_to_tensor(one, attention.compute_dtype) for one in (query, memory))
    mask = ops.convert_to_tensor(mask)
    prepared = attention.prepare(memory, mask)
    state, contexts, alignments = attention.initial_state(prepared), [], []
    for t in range(query.shape[1]):
        context, aligned, state = attention.step(query[:, t : t + 1], prepared, state)
        contexts.append(context)
        alignments.append(aligned)
    return ops.concatenate(contexts, axis=1), ops.concatenate(alignments, axis=1)


# === Expected alignments ===


@pytest.mark.parametrize("arguments", [{}, {"normalize": True}, {"score": "bilinear"}], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_monotonic_attention_follows_its_equation(mode, arguments):
    attention = monotonic(mode=mode, **arguments)
    alignments = expected_alignments(probabilities(attention))
    expected = (alignments @ MEMORY.astype("float64"), alignments)
    assert_close(run(attention), expected)
    assert_close(by_steps(attention), expected)
    assert np.all(alignments.sum(axis=-1) < 1.0)


def test_the_score_bias_starts_where_it_is_told_to():
    attention = layers.MonotonicAttention("dot", score_bias_init=-2.0)
    attention.build(QUERY.shape, MEMORY.shape)
    assert_close(attention.score_bias.value, np.array(-2.0))
    assert attention.score_bias.trainable


@pytest.mark.parametrize("mode", [*MODES, "hard"])
def test_every_step_starts_at_place_0_in_a_call_of_its_own(mode):
    attention = monotonic(mode=mode)
    first, again = run(attention), run(attention)
    assert_close(first, again, tolerance=0.0)


@pytest.mark.parametrize("kind", ["monotonic", "chunkwise"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_places_train(mode, dtype, kind):
    arguments = {"mode": mode, "dtype": dtype, "score_bias_init": -3.0}
    if kind == "monotonic":
        attention = layers.MonotonicAttention("dot", scale="learned", **arguments)
    else:
        attention = layers.ChunkwiseAttention("dot", scale="learned", window=3, **arguments)
    query, memory = keras.Input((None, 5)), keras.Input((None, 5))
    model = keras.Model([query, memory], attention(query, memory))
    model.compile("sgd", "mse", jit_compile=keras.backend.backend() != "torch")
    inputs = [normal(2, 3, 5), normal(2, 1024, 5, seed=1)]
    loss = compiled_fit(model, inputs, normal(2, 3, 5, seed=2))
    assert np.isfinite(loss)
    for weight in model.trainable_weights:
        assert np.all(np.isfinite(to_numpy(weight.value)))


def compiled_fit(model, inputs, target):
    if keras.backend.backend() != "jax":
        return model.train_on_batch(inputs, target)
    import jax

    with jax.disable_jit(False):
        return model.train_on_batch(inputs, target)


# === Noise and training ===


@pytest.mark.parametrize("mode", MODES)
def test_noise_is_for_training_alone(mode):
    noisy, quiet = monotonic(mode=mode, sigmoid_noise=0.7, seed=3), monotonic(mode=mode)
    assert_close(run(noisy), run(quiet))
    assert_close(run(quiet, training=True), run(quiet))
    prepared = noisy.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    one, other = (to_numpy(noisy.draw_noise(prepared, 3)) for _ in range(2))
    assert one.shape == (2, 3, 11) and np.all(one != other)
    noise = normal(2, 3, 11, seed=5)
    noisy.draw_noise = lambda prepared, steps: ops.convert_to_tensor(noise)
    expected = expected_alignments(probabilities(noisy, 0.7 * noise))
    assert_close(run(noisy, training=True)[1], expected)
    state = noisy.initial_state(prepared)
    for t in range(3):
        at = slice(t, t + 1)
        _, aligned, state = noisy.noisy_step(
            ops.convert_to_tensor(QUERY[:, at]), prepared, state, noise[:, at]
        )
        assert_close(aligned, expected[:, at])


def test_the_noise_is_standard_normal():
    attention = layers.MonotonicAttention("dot", sigmoid_noise=3.0, seed=1)
    noise = to_numpy(attention.draw_noise({"value": ops.zeros((7, 101, 1))}, 13))
    assert abs(noise.mean()) < 4.0 / np.sqrt(noise.size)
    assert abs((noise**2).mean() - 1.0) < 4.0 * np.sqrt(2.0 / noise.size)


def test_what_is_trained_in_expectation_may_decode_hard():
    attention, plain = monotonic(inference_mode="hard"), monotonic()
    assert_close(run(attention, training=True), run(plain))
    alignments = to_numpy(run(attention)[1])
    assert set(np.unique(alignments)) <= {0.0, 1.0}


@pytest.mark.parametrize("cls", [layers.MonotonicAttention, layers.ChunkwiseAttention])
def test_hard_training_is_refused_with_what_to_do(cls):
    more = {"window": 2} if cls is layers.ChunkwiseAttention else {}
    attention = built(cls("dot", mode="hard", **more))
    message = 'Train with `mode="parallel"` .* `inference_mode="hard"`. Received: mode=\'hard\''
    with pytest.raises(ValueError, match=message):
        run(attention, training=True)
    cell = layers.AttentionCell(keras.layers.GRUCell(5), attention)
    rnn = layers.AttentionRNN(cell)
    rnn(QUERY, MEMORY)
    with pytest.raises(ValueError, match=message):
        rnn(QUERY, MEMORY, training=True)


# === Hard decoding ===


@pytest.mark.parametrize(("score", "bias"), [("additive", -0.5), ("bilinear", -2.0)])
def test_a_hard_step_walks_to_the_first_place_that_is_chosen(score, bias):
    attention = monotonic(score, mode="hard")
    attention.score_bias.assign(bias)
    alignments = walked_alignments(probabilities(attention))
    expected = (alignments @ MEMORY.astype("float64"), alignments)
    assert 0 < alignments.sum() < 6 and alignments.argmax(axis=-1).max() >= 2  # Some of all.
    assert_close(run(attention), expected)
    assert_close(by_steps(attention), expected)


def test_a_walk_off_the_end_gives_zeros_from_there_on():
    attention = monotonic(mode="hard")
    attention.score_bias.assign(-100.0)
    for found in (run(attention), by_steps(attention)):
        assert all(np.all(to_numpy(part) == 0.0) for part in found)


def test_certain_choices_make_expectation_and_walk_the_same():
    scale, query = 1e4, np.tile(QUERY, (1, 3, 1))
    soft, hard = monotonic("bilinear"), monotonic("bilinear", mode="hard")
    for attention in (soft, hard):
        attention.score.kernel.assign(scale * attention.score.kernel)
    assert_close(run(soft, query), run(hard, query))
    assert_close(by_steps(soft, query), by_steps(hard, query))


@keras.saving.register_keras_serializable(package="tests")
class CountingScore(layers.DotScore):
    """Counts the places that one query is compared with."""

    count = 0

    def compare(self, query, key):
        type(self).count += key.shape[1]
        return super().compare(query, key)


class WholeScore(CountingScore):
    placewise = False


@pytest.mark.parametrize("seed", range(3))
def test_hard_decoding_takes_linear_time(seed):
    steps, places = 13, 29
    query, memory = normal(1, steps, 5, seed=seed), normal(1, places, 5, seed=7 + seed)
    mask = np.ones((1, places), bool)
    attention = layers.MonotonicAttention(CountingScore(), mode="hard")
    attention.build(query.shape, memory.shape)
    attention.score_bias.assign(-2.0)
    CountingScore.count = 0
    found = by_steps(attention, query, memory, mask)
    count = CountingScore.count
    # Each comparison ends a step or leaves a place behind.
    assert 0 < count <= steps + places
    whole = layers.MonotonicAttention(WholeScore(), mode="hard")
    whole.build(query.shape, memory.shape)
    whole.score_bias.assign(-2.0)
    WholeScore.count = 0
    assert_close(found, by_steps(whole, query, memory, mask))
    assert WholeScore.count == steps * places


def test_chunks_cost_their_window_a_step_and_no_more():
    steps, places, window = 13, 29, 3
    query, memory = normal(1, steps, 5, seed=1), normal(1, places, 5, seed=7)
    attention = layers.ChunkwiseAttention(
        layers.DotScore(), window=window, chunk_score=CountingScore(), mode="hard"
    )
    attention.build(query.shape, memory.shape)
    attention.score_bias.assign(-2.0)
    CountingScore.count = 0
    by_steps(attention, query, memory, np.ones((1, places), bool))
    assert CountingScore.count == steps * window


def test_padding_is_not_walked_over():
    attention = layers.MonotonicAttention(CountingScore(), mode="hard")
    attention.build(QUERY.shape, MEMORY.shape)
    attention.score_bias.assign(-100.0)
    CountingScore.count = 0
    by_steps(attention, QUERY[1:], MEMORY[1:], MASK[1:])
    assert CountingScore.count == 7  # All real places once, then never again.


def test_a_score_that_needs_all_places_is_compared_whole():
    attention = layers.MonotonicAttention("location", max_length=13, mode="hard")
    built(attention)
    bias = float(attention.score_bias)
    scores = references.location_scores(QUERY, 11, weights_of(attention)["kernel"])
    alignments = walked_alignments(references.sigmoid(scores + bias) * MASK[:, None, :])
    assert alignments.sum() > 0
    assert_close(by_steps(attention)[1], alignments)


@pytest.mark.parametrize("kind", ["monotonic", "chunkwise"])
@pytest.mark.parametrize("mode", [*MODES, "hard"])
def test_hypotheses_side_by_side_do_not_see_one_another(mode, kind):
    if kind == "monotonic":
        attention = monotonic("bilinear", mode=mode)
    else:
        attention = built(layers.ChunkwiseAttention("bilinear", window=3, mode=mode))
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    places = np.array([[0, 3, 6], [2, 6, 9]])  # Of K = 3 hypotheses, each with a past of its own.
    state = np.eye(11, dtype="float32")[places]
    state[1, 2] = 0.0  # This one has chosen nothing.
    together = attention.step(ops.convert_to_tensor(QUERY), prepared, ops.convert_to_tensor(state))
    for k in range(3):
        one = slice(k, k + 1)
        alone = attention.step(
            ops.convert_to_tensor(QUERY[:, one]), prepared, ops.convert_to_tensor(state[:, one])
        )
        assert_close(tuple(part[:, one] for part in together), alone)
    assert np.all(to_numpy(together[1])[1, 2] == 0.0)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_a_hard_step_works_in_half_precision(dtype):
    attention = monotonic("bilinear", mode="hard", dtype=dtype)
    context, alignments = by_steps(attention)
    assert keras.backend.standardize_dtype(alignments.dtype) == dtype.removeprefix("mixed_")
    assert_close(context, to_numpy(alignments) @ MEMORY, tolerance=0.01)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own.")
@pytest.mark.parametrize("kind", ["monotonic", "chunkwise"])
@pytest.mark.parametrize("mode", ["parallel", "hard"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_compiles_where_sizes_are_unknown(jit_compile, mode, kind):
    import tensorflow as tf

    if kind == "monotonic":
        attention = monotonic("bilinear", mode=mode)
    else:
        attention = built(layers.ChunkwiseAttention("bilinear", window=3, mode=mode))

    def step(query, memory, mask, state):
        return attention.step(query, attention.prepare(memory, mask), state)

    signature = [tf.TensorSpec([None, None, 5])] * 2
    signature += [tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None, None, None])]
    traced = tf.function(step, input_signature=signature, jit_compile=jit_compile)
    state = np.eye(11, dtype="float32")[np.array([[0, 3, 6], [2, 6, 9]])]
    arrays = [tf.constant(array) for array in (QUERY, MEMORY, MASK, state)]
    assert_close(traced(*arrays), step(*arrays))


# === In a decoder ===


@pytest.mark.parametrize("inference_mode", [None, "hard"])
@pytest.mark.parametrize(
    ("attend", "input_feeding"), [("before", False), ("after", False), ("after", True)]
)
def test_a_decoder_goes_step_by_step_as_it_goes_whole(attend, input_feeding, inference_mode):
    attention = layers.ChunkwiseAttention(
        "bilinear", window=2, inference_mode=inference_mode, score_bias_init=-1.0
    )
    cell = layers.AttentionCell(
        keras.layers.GRUCell(5), attention, attend=attend, input_feeding=input_feeding
    )
    rnn = layers.AttentionRNN(cell)
    rnn.build(QUERY.shape, MEMORY.shape)
    set_weights(rnn)
    query, memory, mask = (ops.convert_to_tensor(array) for array in (QUERY, MEMORY, MASK))
    outputs, alignments = rnn(query, memory, memory_mask=mask, return_alignments=True)
    prepared = cell.prepare(memory, mask)
    state = cell.initial_state(prepared)
    for t in range(3):
        output, aligned, state = cell.step(query[:, t], prepared, state)
        assert_close((output, aligned), (outputs[:, t], alignments[:, t]))
    trained = rnn(query, memory, memory_mask=mask, training=True)
    attention.inference_mode = None
    assert_close(trained, rnn(query, memory, memory_mask=mask))


# === Errors ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "soft"}, "`mode` must be one of .*'hard'.* Received: mode='soft'"),
        ({"inference_mode": "soft"}, "`inference_mode` must .* Received: inference_mode='soft'"),
        ({"sigmoid_noise": -0.5}, "at least 0. Received: sigmoid_noise=-0.5"),
        ({"sigmoid_noise": float("nan")}, "at least 0. Received: sigmoid_noise=nan"),
        ({"score_bias_init": float("nan")}, "finite. Received: score_bias_init=nan"),
        ({"score": "additive"}, "Received: units=None"),
        ({"score": "cosine"}, "Received: score='cosine'"),
        ({"score": layers.DotScore(), "units": 7}, "with {'units': 7}"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.MonotonicAttention(**arguments)


def test_a_mask_over_pairs_is_refused():
    with pytest.raises(ValueError, match=r"`MonotonicAttention` goes step .* shape \(3, 11\)"):
        monotonic()(QUERY, MEMORY, attention_mask=np.ones((3, 11), dtype=bool))

"""The estimate of a gradient against the gradient of the expectation, and what it takes to train.

The problem is small enough to go through every way to draw: two examples, one with a place that is
padding, and a decoder in which a draw changes all losses after it.
"""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.models import ReinforceMixin, ReinforceModel
from attnzoo.models.objectives import reinforce
from tests.references import softmax
from tests.tools import normal, set_weights, to_numpy

EXAMPLES, STEPS, PLACES, WIDTH = 2, 2, 3, 2
INPUTS, MEMORY = normal(EXAMPLES, STEPS, WIDTH, seed=1), 2.0 * normal(EXAMPLES, PLACES, WIDTH)
START = normal(EXAMPLES, WIDTH, seed=4)
TARGETS = 1.0 + 0.6 * normal(EXAMPLES, STEPS, WIDTH, seed=5)
MASK = np.array([[True, True, True], [True, True, False]])
WEIGHTS = np.array([[1.0, 2.0], [0.4, 2.6]], "float32")
COPIES, BLOCKS, RATE = 200, 100, 0.1
BASELINE = ("baseline_kernel", "baseline_bias")


def make_model(attend="before", reduction="mean_with_sample_weight", **arguments):
    """inputs, memory -> attending decoder -> outputs [B, T, 2], whose squared error is the loss."""
    attention = layers.HardAttention("bilinear", name="attention", seed=3, **arguments)
    cell = layers.AttentionCell(keras.layers.SimpleRNNCell(WIDTH), attention, attend=attend)
    inputs, memory = keras.Input((None, WIDTH)), keras.Input((None, WIDTH))
    mask = keras.Input((None,), dtype="bool")
    start = keras.Input((WIDTH,))
    decoder = layers.AttentionRNN(cell, name="decoder")
    outputs = decoder(inputs, memory, memory_mask=mask, initial_state=[start])
    model = ReinforceModel([inputs, memory, mask, start], outputs)
    set_weights(model, seed=9, scale=1.0)
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    model.compile(keras.optimizers.SGD(RATE), loss, jit_compile=keras.backend.backend() == "jax")
    return model


def values_of(model) -> dict:
    return {name: to_numpy(one.value).astype("float64") for name, one in named(model).items()}


def attention_of(model) -> layers.HardAttention:
    return model.get_layer("decoder").cell.attentions[0]


# === The expectation, in NumPy: every way to draw, one by one ===


def run(weights, places, example, attend):
    """Losses [T] of one example, p of each of its steps [T] for the places [T, n] drawn, what asked
    [T, D], and the entropies [T].

    Without places, the contexts are the soft ones.
    """
    memory, inputs = MEMORY[example].astype("float64"), INPUTS[example].astype("float64")
    hidden, context = START[example].astype("float64"), np.zeros(WIDTH)
    losses, probabilities, queries, entropies = [], [], [], []

    def move(late):
        joined = np.concatenate([inputs[t], late])
        gates = joined @ weights["kernel"] + hidden @ weights["recurrent_kernel"]
        return np.tanh(gates + weights["bias"])

    for t in range(STEPS):
        hidden = move(context) if attend == "after" else hidden
        queries.append(hidden)
        weight = softmax(memory @ weights["score"] @ hidden, MASK[example])
        real = weight[MASK[example]]
        entropies.append(-np.sum(real * np.log(real)))
        if places is None:
            context = weight @ memory
        else:
            context = memory[list(places[t])].mean(axis=0)
            probabilities.append(np.prod(weight[list(places[t])]))
        hidden = move(context) if attend == "before" else hidden
        result = hidden if attend == "before" else context
        losses.append(np.mean((result - TARGETS[example, t]) ** 2))
    return np.array(losses), np.array(probabilities), np.array(queries), np.array(entropies)


def expectation(weights, arguments, of="loss", held=None):
    """The reduced loss that is to be expected, or the reduced error of a learned baseline.

    The entropy comes off where the steps before, drawn with the weights `held`, have led.
    """
    attend = arguments.get("attend", "before")
    soft_share = arguments.get("soft_mixing", 0.0)
    divisor = WEIGHTS.sum()
    if arguments.get("reduction") == "sum_over_batch_size":
        divisor = WEIGHTS.size
    total = 0.0
    each = list(itertools.product(range(PLACES), repeat=arguments.get("num_samples", 1)))
    for example in range(EXAMPLES):
        for places in itertools.product(each, repeat=STEPS):
            losses, probabilities, queries, entropies = run(weights, places, example, attend)
            if of == "loss":
                value = losses
            else:  # Each step's error, summed over the losses that it is charged with.
                expected = queries @ weights["baseline_kernel"][:, 0] + weights["baseline_bias"]
                value = np.array(
                    [np.sum((expected[: t + 1] - losses[t]) ** 2) for t in range(STEPS)]
                )
                value = value / STEPS
            value = probabilities.prod() * np.sum(WEIGHTS[example] * value)
            total += (1.0 - soft_share) * value / divisor
            if of == "loss" and "entropy_weight" in arguments:
                led = run(held, places, example, attend)[1].prod()
                bonus = led * np.sum(WEIGHTS[example] * entropies)
                total -= arguments["entropy_weight"] * bonus / divisor
        if soft_share:
            losses = run(weights, None, example, attend)[0]
            total += soft_share * np.sum(WEIGHTS[example] * losses) / divisor
    return total


def expected_gradient(model, arguments):
    """Of all weights by name, by differences in float64."""
    weights = values_of(model)
    gradients = {}
    for name, values in weights.items():
        of = "error" if name in BASELINE else "loss"
        gradient = np.zeros(values.shape)
        for index in np.ndindex(values.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = values.copy()
                moved[index] += step
                ends.append(expectation({**weights, name: moved}, arguments, of, held=weights))
            gradient[index] = (ends[0] - ends[1]) / 2e-5
        gradients[name] = gradient
    return np.concatenate([gradients[name].ravel() for name in gradients])


def named(model) -> dict:
    """The trainable weights; the score's kernel is told from the cell's."""
    score = attention_of(model).score.trainable_weights[0]
    return {"score" if one is score else one.name: one for one in model.trainable_weights}


# === The estimates ===


def estimates(model, blocks=BLOCKS, keep=(), targets=TARGETS):
    """Gradients [blocks, weights], each the mean over many copies, from steps of training.

    Between the blocks all weights but those to `keep` are set back.
    """
    weights = named(model)
    before = {name: to_numpy(one.value).copy() for name, one in weights.items()}
    x = [np.repeat(one, COPIES, axis=0) for one in (INPUTS, MEMORY, MASK, START)]
    y, sample_weight = (np.repeat(one, COPIES, axis=0) for one in (targets, WEIGHTS))
    found = []
    for _ in range(blocks):
        start = {name: to_numpy(one.value).copy() for name, one in weights.items()}
        model.train_on_batch(x, y, sample_weight)
        steps = [(start[name] - to_numpy(one.value)).ravel() for name, one in weights.items()]
        found.append(np.concatenate(steps) / RATE)
        for name, one in weights.items():
            if name not in keep:
                one.assign(before[name])
    return np.array(found, dtype="float64")


def deviation(found, expected) -> float:
    """How far the mean is from what it should be, in standard errors; of the worst weight."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return np.max(np.abs(found.mean(axis=0) - expected) / (error + 1e-6))


CASES = {
    "no baseline": {"baseline": None},
    "moving average": {},
    "learned baseline": {"baseline": "learned"},
    "after": {"attend": "after", "baseline": "learned"},
    "mean": {"reduction": "sum_over_batch_size"},
    "two samples": {"num_samples": 2},
    "mixed with soft": {"soft_mixing": 0.3},
    "by example": {"credit": "example"},
    "entropy": {"entropy_weight": 0.5},
}


@pytest.mark.rotates
@pytest.mark.parametrize("arguments", CASES.values(), ids=list(CASES))
def test_the_mean_of_many_estimates_is_the_gradient_of_the_expected_loss(arguments):
    model = make_model(**arguments)
    expected = expected_gradient(model, arguments)
    assert np.mean(np.abs(expected) > 1e-4) > 0.7
    assert deviation(estimates(model), expected) < 4.0


RIGHT = reinforce.surrogate


def flipped(losses, draws):
    """Makes what was bad more probable."""
    return -RIGHT(losses, draws)


def past(losses, draws):
    """Charges a draw with what came before it."""
    return ops.flip(ops.cumsum(ops.flip(draws.log_probs, 1), 1), 1) * losses


def present(losses, draws):
    """Charges a draw with its own step alone."""
    return draws.log_probs * losses


@pytest.mark.rotates
@pytest.mark.parametrize("wrong", [flipped, past, present, "no constant"])
def test_a_wrong_estimate_would_be_found_out(wrong, monkeypatch):
    arguments = {"baseline": None}
    if wrong == "no constant":
        monkeypatch.setattr(reinforce, "constant", lambda values: values)
    else:
        monkeypatch.setattr(reinforce, "surrogate", wrong)
    model = make_model(**arguments)
    assert deviation(estimates(model), expected_gradient(model, arguments)) > 8.0


@pytest.mark.shared("torch")
def test_a_baseline_lowers_the_variance():
    """Of the score's gradients: what is known of the loss beforehand is no noise any more."""
    variances = {}
    for baseline in (None, "moving_average", "learned"):
        model = make_model(baseline=baseline)
        found = estimates(model, keep=BASELINE, targets=TARGETS + 2.0)[50:]  # Some to settle.
        names = [np.full(one.shape, name).ravel() for name, one in named(model).items()]
        variances[baseline] = found[:, np.concatenate(names) == "score"].var(axis=0).sum()
    assert variances["moving_average"] < 0.7 * variances[None]
    assert variances["learned"] < 0.7 * variances[None]


# === A model of one's own ===

QUERY = normal(EXAMPLES, STEPS, WIDTH, seed=8)


class Reader(ReinforceMixin, keras.Model):
    """One output for all steps together."""

    def __init__(self, **arguments):
        super().__init__()
        self.attention = layers.HardAttention("bilinear", seed=3, **arguments)

    def call(self, inputs, training=False):
        query, memory, mask = inputs
        contexts = self.attention(query, memory, memory_mask=mask, training=training)
        return ops.mean(contexts, axis=1)


def reader_gradient(kernel):
    """Of the expected mean squared error, for the kernel of the score."""

    def expected_loss(kernel):
        total = 0.0
        for example in range(EXAMPLES):
            memory = MEMORY[example].astype("float64")
            weights = softmax(QUERY[example] @ (memory @ kernel).T, MASK[example])
            for places in itertools.product(range(PLACES), repeat=STEPS):
                probability = np.prod([weights[t, place] for t, place in enumerate(places)])
                error = memory[list(places)].mean(axis=0) - TARGETS[example, 0]
                total += probability * np.mean(error**2) / EXAMPLES
        return total

    gradient = np.zeros(kernel.shape)
    for index in np.ndindex(kernel.shape):
        step = np.zeros(kernel.shape)
        step[index] = 1e-5
        gradient[index] = (expected_loss(kernel + step) - expected_loss(kernel - step)) / 2e-5
    return gradient


def mean_of_squares(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_of_all(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred))


@pytest.mark.rotates
@pytest.mark.parametrize(
    ("loss", "copies"), [("mse", 100), (mean_of_squares, 100), (mean_of_all, 3)]
)
def test_a_loss_that_is_no_sequence_charges_every_draw(loss, copies):
    """And one that tells no examples apart charges the draws of all, with so much more noise."""
    model = Reader()
    batch = [np.repeat(one, copies, axis=0) for one in (QUERY, MEMORY, MASK)]
    targets = np.repeat(TARGETS[:, 0], copies, axis=0)
    model.compile(keras.optimizers.SGD(RATE), loss)
    model(batch)
    (weight,) = model.trainable_weights
    kernel = 0.5 * normal(WIDTH, WIDTH, seed=4)
    found = []
    for _ in range(300):
        weight.assign(kernel)
        model.train_on_batch(batch, targets)
        found.append((kernel - to_numpy(weight.value)).ravel() / RATE)
    expected = reader_gradient(kernel.astype("float64")).ravel()
    found = np.array(found, dtype="float64")
    assert deviation(found, expected) < 4.0
    assert deviation(found, -expected) > 8.0


@pytest.mark.rotates
@pytest.mark.parametrize("estimator", ["reinforce", "straight_through", "gumbel"])
def test_it_learns_which_of_two_places_is_right(estimator):
    query, memory = keras.Input((1, 1)), keras.Input((2, 1))
    attention = layers.HardAttention("location", max_length=2, estimator=estimator, seed=1)
    model = ReinforceModel([query, memory], attention(query, memory))
    attention.score.trainable_weights[0].assign([[0.5, -0.5]])  # It starts at the wrong place.
    model.compile(keras.optimizers.SGD(0.5), "mse")
    ones = np.ones((128, 1, 1), "float32")
    x = [ones, np.tile(np.array([[[3.0], [1.0]]], "float32"), (128, 1, 1))]
    assert model.evaluate(x, ones, verbose=0) == pytest.approx(4.0)
    model.fit(x, ones, batch_size=16, epochs=2, verbose=0)
    assert model.evaluate(x, ones, verbose=0) == 0.0
    wrong, right = to_numpy(attention.score.trainable_weights[0].value)[0]
    assert right - wrong > 2.0


def test_the_example_of_the_docstring_trains():
    query, memory = keras.Input((None, 5)), keras.Input((None, 7))
    attention = layers.HardAttention("additive", units=11, baseline="learned")
    outputs = keras.layers.Dense(3)(attention(query, memory))
    model = ReinforceModel([query, memory], outputs)
    model.compile("adam", "mse")
    before = [to_numpy(one.value).copy() for one in model.trainable_weights]
    queries, memories, targets = normal(13, 3, 5), normal(13, 11, 7), normal(13, 3, 3)
    model.fit([queries, memories], targets, batch_size=5, verbose=0)
    for one, old in zip(model.trainable_weights, before, strict=True):
        assert np.all(to_numpy(one.value) != old), one.path


def make_reader():
    query, memory = keras.Input((None, 5)), keras.Input((None, 7))
    attention = layers.HardAttention("bilinear")
    model = ReinforceModel([query, memory], keras.layers.Dense(3)(attention(query, memory)))
    return model, attention


def test_within_another_model_nobody_charges_and_it_is_said():
    inner, _ = make_reader()
    query, memory = keras.Input((None, 5)), keras.Input((None, 7))
    outer = keras.Model([query, memory], inner([query, memory]))
    outer.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="do not learn here: nobody charges its draws"):
        outer.train_on_batch([normal(2, 3, 5), normal(2, 11, 7)], normal(2, 3, 3))


def test_within_another_one_the_outer_loss_is_charged():
    inner, attention = make_reader()
    query, memory = keras.Input((None, 5)), keras.Input((None, 7))
    outer = ReinforceModel([query, memory], inner([query, memory]))
    outer.compile(keras.optimizers.SGD(1.0), "mse")
    before = to_numpy(attention.score.trainable_weights[0].value).copy()
    outer.train_on_batch([normal(2, 3, 5), normal(2, 11, 7)], normal(2, 3, 3))
    assert np.any(to_numpy(attention.score.trainable_weights[0].value) != before)


def test_a_loop_that_charges_nothing_is_told():
    model, _ = make_reader()
    x = [ops.convert_to_tensor(array) for array in (normal(2, 3, 5), normal(2, 11, 7))]
    jax = keras.backend.backend() == "jax"
    message = "nobody charges its draws" if jax else "in the previous pass had no loss"
    with pytest.warns(UserWarning, match=message):
        for _ in range(2):
            model(x, training=True)


@pytest.mark.graph
@pytest.mark.only("tensorflow")
@pytest.mark.parametrize("stride", [1, 2])
def test_lengths_need_not_be_known_while_tracing(stride):
    import tensorflow as tf

    model = make_model()
    inputs = model.input
    model = ReinforceModel(inputs, model(inputs)[:, ::stride])
    model.compile(keras.optimizers.SGD(RATE), "mse")
    x = (INPUTS, MEMORY, MASK, START)
    known = [(None, None, WIDTH), (None, None, WIDTH), (None, None), (None, WIDTH)]
    specs = [tf.TensorSpec(shape, array.dtype) for shape, array in zip(known, x, strict=True)]
    target = TARGETS[:, ::stride]
    data = tf.data.Dataset.from_generator(
        lambda: [(x, target)],
        output_signature=(tuple(specs), tf.TensorSpec((None, None, WIDTH), target.dtype)),
    )
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()


def test_a_functional_model_comes_back_from_its_file(tmp_path):
    model = make_model(baseline="learned", credit="example", num_samples=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is ReinforceModel
    x = [INPUTS, MEMORY, MASK, START]
    np.testing.assert_allclose(to_numpy(loaded(x)), to_numpy(model(x)), rtol=1e-5)
    assert np.isfinite(loaded.train_on_batch(x, TARGETS, WEIGHTS))


def test_the_loss_that_is_reported_is_the_loss_alone():
    found = {}
    for weight in (0.0, 100.0):
        model = make_model(entropy_weight=weight, baseline="learned")
        weights = values_of(model)
        x = [INPUTS, MEMORY, MASK, START]
        found[weight] = model.train_on_batch(x, TARGETS, WEIGHTS)
    assert found[0.0] == pytest.approx(found[100.0], rel=1e-6)  # With the same draws.
    losses = [
        [
            np.sum(WEIGHTS[example] * run(weights, places, example, "before")[0])
            for places in itertools.product([(0,), (1,), (2,)][: MASK[example].sum()], repeat=2)
        ]
        for example in range(EXAMPLES)
    ]
    assert min(losses[0]) + min(losses[1]) <= found[0.0] * WEIGHTS.sum() + 1e-4
    assert max(losses[0]) + max(losses[1]) >= found[0.0] * WEIGHTS.sum() - 1e-4


def test_the_entropy_is_made_larger():
    """With a weight that leaves the loss little say, p becomes flat."""
    model = make_model(entropy_weight=3.0)
    x = [INPUTS, MEMORY, MASK, START]
    before, after = [], []
    for found in (before, after):
        decoder = model.get_layer("decoder")
        prepared = decoder.cell.prepare(*map(ops.convert_to_tensor, (MEMORY, MASK)))[0]
        scores = to_numpy(
            attention_of(model).scores(ops.convert_to_tensor(START[:, None]), prepared)
        )
        found.append(softmax(scores, MASK[:, None]))
        for _ in range(60):
            model.train_on_batch(x, TARGETS, WEIGHTS)
    even = MASK[:, None] / MASK.sum(axis=1)[:, None, None]
    assert np.abs(after[0] - even)[0].max() < 0.7 * np.abs(before[0] - even)[0].max()


def test_the_moving_average_moves_towards_the_loss():
    model = make_model(baseline_decay=0.75)
    average = attention_of(model).average_loss
    x = [INPUTS, MEMORY, MASK, START]
    average.assign(0.5)
    expected = 0.75 * 0.5 + 0.25 * model.train_on_batch(x, TARGETS, WEIGHTS)
    assert float(to_numpy(average.value)) == pytest.approx(expected, rel=1e-5)
    model.test_on_batch(x, TARGETS, WEIGHTS)
    assert float(to_numpy(average.value)) == pytest.approx(expected, rel=1e-5)


def test_nothing_is_kept_after_a_step():
    model = make_model()
    x = [INPUTS, MEMORY, MASK, START]
    model.train_on_batch(x, TARGETS, WEIGHTS)
    assert not model._draws
    model.predict_on_batch(x)
    assert not model._draws


def test_padding_is_charged_with_nothing():
    """A mask that reaches the loss counts in the estimate as it counts in the loss."""
    ids = np.array([[3, 4, 0], [5, 0, 0]], "int32")
    memory = normal(2, 5, 3)
    gradients = []
    for length in (3, 2):
        token_ids, given = keras.Input((None,), dtype="int32"), keras.Input((None, 3))
        embedded = keras.layers.Embedding(7, 3, mask_zero=True)(token_ids)
        attention = layers.HardAttention("bilinear", baseline=None, entropy_weight=0.5)
        # Draws that do not depend on the length.
        attention.draw_noise = lambda prepared, steps: ops.convert_to_tensor(NOISE)[:, :steps]
        model = ReinforceModel([token_ids, given], attention(embedded, given))
        set_weights(model)
        model.compile(keras.optimizers.SGD(1.0), "mse")
        before = [to_numpy(one.value).copy() for one in model.trainable_weights]
        targets = normal(2, 3, 3, seed=8)[:, :length]
        model.train_on_batch([ids[:, :length], memory], targets)
        after = [to_numpy(one.value) for one in model.trainable_weights]
        gradients.append([old - new for old, new in zip(before, after, strict=True)])
    for one, other in zip(*gradients, strict=True):
        assert np.abs(one).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


NOISE = normal(2, 3, 5, seed=7)


# === Errors ===


@pytest.mark.parametrize(
    ("compiled", "received"),
    [
        ({"loss": ["mse"]}, "losses in a list or dict"),
        ({"loss": "mse", "loss_weights": 2.0}, "`loss_weights`"),
        ({"loss": None}, "no loss"),
    ],
)
def test_draws_need_one_loss_to_be_charged_with(compiled, received):
    model = Reader()
    model.compile("sgd", **compiled)
    x = [ops.convert_to_tensor(one) for one in (QUERY, MEMORY, MASK)]
    model(x)
    state = model.trainable_variables, model.non_trainable_variables
    outputs, _ = model.stateless_call(*state, x, training=True)
    with pytest.raises(ValueError, match=f"one output, one loss and .* Received: {received}"):
        model.compute_loss(x, ops.convert_to_tensor(TARGETS[:, 0]), outputs)


def test_draws_need_one_output():
    query, memory = keras.Input((None, 5)), keras.Input((None, 7))
    outputs = layers.HardAttention("bilinear")(query, memory)
    model = ReinforceModel([query, memory], [outputs, outputs])
    model.compile("sgd", "mse")
    target = normal(2, 3, 7)
    with pytest.raises(ValueError, match="one output, one loss .* Received: several outputs"):
        model.train_on_batch([normal(2, 3, 5), normal(2, 11, 7)], [target, target])
    assert np.isfinite(
        model.test_on_batch([normal(2, 3, 5), normal(2, 11, 7)], [target, target])[0]
    )

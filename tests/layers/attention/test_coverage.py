import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.ops import coverage_loss
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 5, 3, seed=1), normal(2, 11, 7, seed=2)
MASK, STEPS = lengths_mask([11, 7], 11), lengths_mask([5, 2], 5)


def built(**arguments):
    attention = layers.CoverageAttention(13, **arguments)
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention, scale=1.0)
    return attention


def expected_of(attention):
    weights = weights_of(attention.score)
    return references.history_attention(
        QUERY,
        MEMORY,
        MASK,
        lambda query, history: references.coverage_scores(query, MEMORY, history, **weights),
    )


@pytest.mark.parametrize("normalize", [False, True])
def test_it_follows_its_equations(normalize):
    attention = built(normalize=normalize)
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    assert_close(found, expected_of(attention))


def test_the_state_is_the_sum_of_the_alignments():
    attention = built()
    query, memory, mask = (ops.convert_to_tensor(one) for one in (QUERY, MEMORY, MASK))
    prepared = attention.prepare(memory, mask)
    state = attention.initial_state(prepared)
    for t in range(5):
        _, _, state = attention.step(query[:, t : t + 1], prepared, state)
    assert_close(state[:, 0], expected_of(attention)[1].sum(axis=1))


@pytest.mark.parametrize("steps", [None, STEPS], ids=["all steps", "real steps"])
def test_training_adds_the_loss(steps):
    attention = built(coverage_loss=0.7)
    attention(QUERY, MEMORY, memory_mask=MASK, query_mask=steps, training=True)
    expected = 0.7 * references.coverage_loss(expected_of(attention)[1], steps)
    assert float(attention.losses[0]) == pytest.approx(expected, rel=1e-4)
    attention(QUERY, MEMORY, memory_mask=MASK, query_mask=steps)
    assert attention.losses == []


def test_a_weight_of_nothing_adds_nothing():
    attention = built()
    attention(QUERY, MEMORY, memory_mask=MASK, training=True)
    assert attention.losses == []


class LastPlace(keras.layers.Layer):
    """Puts a mask on what it hands through."""

    def call(self, inputs):
        return 1.0 * inputs

    def compute_mask(self, inputs, mask=None):
        return ops.convert_to_tensor(STEPS)


def test_a_mask_that_the_queries_carry_says_which_steps_are_real():
    attention = built(coverage_loss=1.0)
    query = LastPlace()(ops.convert_to_tensor(QUERY))
    attention(query, ops.convert_to_tensor(MEMORY), memory_mask=MASK, training=True)
    expected = references.coverage_loss(expected_of(attention)[1], STEPS)
    assert float(attention.losses[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.rotates
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("order", ["before", "after", "parallel"])
@pytest.mark.parametrize("steps", [None, STEPS], ids=["all steps", "real steps"])
def test_a_decoder_adds_the_loss_of_its_alignments(order, steps, several):
    coverage = layers.CoverageAttention(13, coverage_loss=0.7)
    attentions = [layers.BahdanauAttention(5), coverage] if several else coverage
    if order == "parallel":  # Nothing in the loop remembers, so that all steps attend at once.
        coverage = Spread(0.7)
        attentions = [layers.BahdanauAttention(5), coverage] if several else coverage
    cell = layers.AttentionCell(
        keras.layers.GRUCell(7),
        attentions,
        attend="before" if order == "before" else "after",
        input_feeding=False,
    )
    rnn = layers.AttentionRNN(cell)
    rnn.build(QUERY.shape, MEMORY.shape)
    set_weights(rnn)
    arguments = {"memory_mask": MASK, "inputs_mask": steps}
    outputs = rnn(QUERY, MEMORY, training=True, **arguments)
    (loss,) = rnn.losses
    same, alignments = rnn(QUERY, MEMORY, return_alignments=True, **arguments)
    assert rnn.losses == []
    assert_close(outputs, same)
    alignments = ops.convert_to_numpy(alignments[1] if several else alignments)
    expected = 0.7 * references.coverage_loss(alignments, steps)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


class Spread(layers.BahdanauAttention):
    """An attention without a state that has a loss all the same."""

    needs_training_pass = True

    def __init__(self, weight):
        super().__init__(13)
        self.weight = weight

    def after_training(self, steps):
        self.add_loss(self.weight * coverage_loss(steps.alignments, steps.query_mask))


def test_a_functional_model_trains_with_the_loss():
    query, memory = keras.Input((None, 3)), keras.Input((None, 7))
    losses = {}
    for weight in (0.0, 2.0):
        attention = layers.CoverageAttention(13, coverage_loss=weight)
        model = keras.Model([query, memory], attention(query, memory))
        set_weights(attention, scale=1.0)
        model.compile("sgd", "mse")
        alignments = attention(QUERY, MEMORY, return_alignments=True)[1]
        target = np.zeros((2, 5, 7), "float32")
        tested = model.test_on_batch([QUERY, MEMORY], target)
        losses[weight] = model.train_on_batch([QUERY, MEMORY], target)
        if weight == 0.0:
            assert losses[weight] == pytest.approx(tested, rel=1e-5)
    overlap = references.coverage_loss(ops.convert_to_numpy(alignments))
    assert losses[2.0] - losses[0.0] == pytest.approx(2.0 * overlap, rel=1e-4)
    assert overlap > 0.1


def test_a_mechanism_that_looks_back_says_how():
    with pytest.raises(NotImplementedError, match="`Attention` must implement `after_training`"):
        layers.Attention().after_training(None)


def test_a_mask_over_steps_is_boolean():
    with pytest.raises(ValueError, match="Received: query_mask.dtype=.*int32"):
        built()(QUERY, MEMORY, query_mask=STEPS.astype("int32"))


@pytest.mark.parametrize("weight", [-0.5, float("nan")])
def test_a_negative_weight_is_refused(weight):
    with pytest.raises(ValueError, match=f"at least 0. Received: coverage_loss={weight}"):
        layers.CoverageAttention(7, coverage_loss=weight)


def test_a_weight_set_later_is_in_the_config():
    attention = layers.CoverageAttention(7)
    attention.coverage_loss = 0.3
    again = layers.CoverageAttention.from_config(attention.get_config())
    assert again.coverage_loss == 0.3 and again.needs_training_pass

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.attention.draws import collect_draws, hand_in
from tests import references
from tests.layers.attention.hard_tools import (
    MASK,
    MEMORY,
    QUERY,
    STEPS,
    built,
    prepared_for,
    scores_of,
)
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of


def test_draws_that_nobody_charges_are_told_of_once():
    attention = layers.ReinforceAttention("bilinear")
    with pytest.warns(UserWarning, match="do not learn here.*ReinforceModel") as told:
        attention(QUERY, MEMORY, training=True)
        attention(QUERY, MEMORY, training=True)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention(QUERY, MEMORY)
        layers.GumbelSoftmaxAttention("bilinear")(QUERY, MEMORY, training=True)
        with collect_draws():
            layers.ReinforceAttention("bilinear")(QUERY, MEMORY, training=True)


def test_no_gradient_goes_through_a_draw():
    attention = built()

    def context(query):
        noise = ops.convert_to_tensor(normal(2, 3, 11, seed=5))
        return (
            attention.noisy_step(query, prepared_for(attention), (), noise)[0]
            + 0.0 * query[:, :, :1]
        )

    _, (gradient,) = outputs_and_gradients(context, [QUERY], np.float32(1.0))
    assert np.all(gradient == 0.0)


def collect(attention, **arguments):
    with collect_draws() as draws:
        _, alignments = attention(
            QUERY, MEMORY, memory_mask=MASK, return_alignments=True, training=True, **arguments
        )
    return draws, to_numpy(alignments)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("steps", [None, STEPS], ids=["all steps", "real steps"])
def test_log_p_and_entropy_are_those_of_the_draws(samples, steps):
    attention = built(num_samples=samples)
    (draws,), alignments = collect(attention, query_mask=steps)
    p = references.softmax(scores_of(attention), MASK[:, None])
    log_p = np.log(np.where(p > 0.0, p, 1.0))
    real = np.ones((2, 3)) if steps is None else steps
    assert_close(draws.log_probs, samples * (alignments * log_p).sum(axis=-1) * real)
    assert_close(draws.entropy, -(p * log_p).sum(axis=-1) * real)
    assert_close(draws.drawn, real.astype("float32"))
    assert draws.layer is attention and not draws.causal


def test_an_example_with_the_soft_context_has_no_log_p():
    attention = built(soft_mixing=0.5)
    noise = normal(2, 3, 12, seed=5)
    noise[:, :, 0] = [[1.0], [0.0]]  # The first of the two gets it.
    attention.draw_noise = lambda prepared, steps: ops.convert_to_tensor(noise)
    (draws,), alignments = collect(attention)
    drawn = np.isin(alignments, [0.0, 1.0]).all(axis=-1).astype("float32")
    np.testing.assert_array_equal(drawn, [[0.0] * 3, [1.0] * 3])
    assert_close(draws.drawn, drawn)
    assert np.all((to_numpy(draws.log_probs) != 0.0) == drawn.astype(bool))


def test_baselines_say_what_they_expect():
    (draws,), _ = collect(built(baseline=None))
    assert np.all(to_numpy(draws.baseline) == 0.0)
    attention = built()
    attention.average_loss.assign(0.7)
    (draws,), _ = collect(attention)
    assert_close(draws.baseline, np.full((2, 3), 0.7, "float32"))
    attention = built(baseline="learned")
    (draws,), _ = collect(attention)
    weights = weights_of(attention)
    expected = QUERY @ weights["baseline_kernel"][:, 0] + weights["baseline_bias"]
    assert_close(draws.baseline, expected)


def test_a_loss_that_is_no_number_leaves_the_average_alone():
    attention = built(baseline_decay=0.5)
    attention.average_loss.assign(2.0)
    attention.update_baseline(ops.convert_to_tensor(4.0))
    attention.update_baseline(ops.convert_to_tensor(np.float32("nan")))
    assert float(to_numpy(attention.average_loss.value)) == 3.0


def test_nothing_is_handed_in_unless_somebody_asks():
    attention = built()
    attention(QUERY, MEMORY, training=True)
    with collect_draws() as draws:
        attention(QUERY, MEMORY)
        for estimator in ("straight_through", "gumbel"):
            built(estimator)(QUERY, MEMORY, training=True)
    assert draws == []
    with collect_draws() as outer, collect_draws() as inner:
        attention(QUERY, MEMORY, training=True)
    assert len(outer) == 1 and inner == []  # The outermost model has the loss.


@pytest.mark.parametrize(
    ("attend", "input_feeding"), [("before", False), ("after", False), ("after", True)]
)
def test_a_decoder_hands_in_what_its_steps_draw(attend, input_feeding):
    attention = layers.ReinforceAttention("bilinear", num_samples=2)
    cell = layers.AttentionCell(
        keras.layers.GRUCell(5), attention, attend=attend, input_feeding=input_feeding
    )
    rnn = layers.AttentionRNN(cell)
    rnn.build(QUERY.shape, MEMORY.shape)
    set_weights(rnn, scale=1.0)
    noise = ops.convert_to_tensor(normal(2, 3, 22, seed=5))
    attention.draw_noise = lambda prepared, steps: noise
    query, memory, mask, steps = map(ops.convert_to_tensor, (QUERY, MEMORY, MASK, STEPS))
    with collect_draws() as draws:
        _, alignments = rnn(
            query,
            memory,
            memory_mask=mask,
            inputs_mask=steps,
            return_alignments=True,
            training=True,
        )
    assert len(draws) == 1 and draws[0].causal
    bound = cell.bind(cell.prepare(memory, mask))
    projected, state = bound.project(query), cell.initial_state(bound.prepared)
    for t in range(3):
        _, aligned, asked, state = bound.training_step(projected[:, t], state, [noise[:, t]])
        assert_close(alignments[:, t], aligned)
        p = references.softmax(scores_of(attention, to_numpy(asked)[:, None]), MASK[:, None])
        expected = 2.0 * (to_numpy(aligned) * np.log(p[:, 0] + 1e-300)).sum(axis=-1)
        assert_close(draws[0].log_probs[:, t], expected * STEPS[:, t])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "mean"}, "`baseline` must be one of .*'learned', None.*: baseline='mean'"),
        ({"credit": "token"}, "`credit` must be one of .*'example'.* Received: credit='token'"),
        ({"baseline_decay": 1.0}, r"in \[0, 1\). Received: baseline_decay=1.0"),
        ({"entropy_weight": -1.0}, "at least 0. Received: entropy_weight=-1.0"),
        ({"temperature": 0.5}, "takes those of .* Received: temperature"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.ReinforceAttention("bilinear", **arguments)


def test_draws_that_nobody_collects_are_refused():
    attention = built()
    with collect_draws() as draws:
        attention(QUERY, MEMORY, memory_mask=MASK, training=True)
    with pytest.raises(RuntimeError, match=f"collect_draws`. Received: draws of {attention.name}"):
        hand_in(draws[0])

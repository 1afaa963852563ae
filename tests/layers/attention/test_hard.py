import warnings

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.attention.draws import collect_draws
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)
MASK, STEPS = lengths_mask([11, 7], 11), lengths_mask([3, 2], 3)
ESTIMATORS = ("reinforce", "straight_through", "gumbel")


def built(estimator="reinforce", **arguments):
    attention = layers.HardAttention("bilinear", estimator=estimator, **arguments)
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    return attention


def prepared_for(attention, memory=MEMORY, mask=MASK):
    return attention.prepare(ops.convert_to_tensor(memory), ops.convert_to_tensor(mask))


def scores_of(attention, query=QUERY, memory=MEMORY):
    return references.bilinear_scores(query, memory, weights_of(attention.score)["kernel"])


def drawn_from(scores, noise, samples=1):
    """The share of each place: where score and noise have their highest sum."""
    noise = noise.reshape(*scores.shape[:2], samples, scores.shape[-1])
    drawn = [
        references.hard_attention(scores + noise[:, :, n], MEMORY, MASK[:, None])[1]
        for n in range(samples)
    ]
    return np.mean(drawn, axis=0)


# === Inference ===


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_outside_of_training_it_looks_at_the_highest_score(estimator):
    attention = built(estimator, num_samples=3, soft_mixing=0.5)
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    assert_close(found, references.hard_attention(scores_of(attention), MEMORY, MASK[:, None]))


def test_a_mask_over_pairs_joins_the_mask_over_memory():
    attention = built()
    pairs = np.arange(3 * 11).reshape(3, 11) % 3 > 0
    found = attention(QUERY, MEMORY, memory_mask=MASK, attention_mask=pairs, return_alignments=True)
    mask = pairs & MASK[:, None]
    assert_close(found, references.hard_attention(scores_of(attention), MEMORY, mask))
    with collect_draws() as draws:
        context, alignments = attention(
            QUERY,
            MEMORY,
            memory_mask=MASK,
            attention_mask=pairs,
            return_alignments=True,
            training=True,
        )
    assert np.all(to_numpy(alignments)[~mask] == 0.0)
    expected = np.log(references.softmax(scores_of(attention), mask) + 1e-300)
    assert_close(draws[0].log_probs, (to_numpy(alignments) * expected).sum(axis=-1))


# === Draws ===


@pytest.mark.parametrize("samples", [1, 3])
def test_noise_makes_the_draws(samples):
    attention = built(num_samples=samples)
    noise = normal(2, 3, samples * 11, seed=5)
    context, alignments = attention.explore_all(
        ops.convert_to_tensor(QUERY), prepared_for(attention), ops.convert_to_tensor(noise)
    )
    expected = drawn_from(scores_of(attention), noise, samples)
    assert_close(alignments, expected)
    assert_close(context, expected @ MEMORY)


@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
def test_places_are_drawn_as_often_as_they_are_probable(estimator):
    attention = built(estimator, seed=1)
    copies = 5000
    query, memory = np.repeat(QUERY[:1, :2], copies, 0), np.repeat(MEMORY[:1, :5], copies, 0)
    _, alignments = attention(query, memory, return_alignments=True, training=True)
    counts = to_numpy(alignments).mean(axis=0)  # [T, S]
    p = references.softmax(scores_of(attention, QUERY[:1, :2], MEMORY[:1, :5]))[0]
    assert np.all(np.abs(counts - p) <= 4.0 * np.sqrt(p * (1.0 - p) / copies) + 1e-6)
    # One step tells nothing of the next.
    together = np.einsum("bs,br->sr", *np.moveaxis(to_numpy(alignments), 1, 0)) / copies
    expected = np.outer(p[0], p[1])
    error = np.sqrt(expected * (1.0 - expected) / copies)
    assert np.all(np.abs(together - expected) <= 4.0 * error + 1e-3)


def test_a_pass_draws_anew():
    attention = built(seed=3)
    first, second = (to_numpy(attention.draw_noise(prepared_for(attention), 3)) for _ in range(2))
    assert first.shape == (2, 3, 11) and np.all(first != second)
    again = built(seed=3)
    assert_close(again.draw_noise(prepared_for(again), 3), first, tolerance=0.0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_examples_take_the_soft_context_as_often_as_asked(estimator):
    attention = built(estimator, soft_mixing=0.3, seed=1, num_samples=2)
    copies = 2000
    query, memory = np.repeat(QUERY[:1], copies, 0), np.repeat(MEMORY[:1], copies, 0)
    _, alignments = attention(query, memory, return_alignments=True, training=True)
    soft = references.softmax(scores_of(attention, QUERY[:1], MEMORY[:1]))
    is_soft = np.abs(to_numpy(alignments) - soft).max(axis=-1) < 1e-5  # [B, T]
    assert np.all(is_soft == is_soft[:, :1])  # An example takes it at all steps or at none.
    assert abs(is_soft[:, 0].mean() - 0.3) < 4.0 * np.sqrt(0.3 * 0.7 / copies)


# === Gradients of the biased estimators ===


def test_straight_through_draws_and_has_the_gradient_of_soft_attention():
    attention = built("straight_through")
    soft = layers.SoftAttention(attention.score)
    soft.built = True
    noise = normal(2, 3, 11, seed=5)
    upstream = normal(2, 3, 11, seed=6)

    def hard_alignments(query, memory):
        prepared = attention.prepare(memory, ops.convert_to_tensor(MASK))
        return attention.explore(query, prepared, (), ops.convert_to_tensor(noise))[1]

    def soft_alignments(query, memory):
        return soft.attend(query, soft.prepare(memory, ops.convert_to_tensor(MASK)))[1]

    found = outputs_and_gradients(hard_alignments, [QUERY, MEMORY], upstream)
    expected = outputs_and_gradients(soft_alignments, [QUERY, MEMORY], upstream)
    np.testing.assert_array_equal(found[0], drawn_from(scores_of(attention), noise))
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_gumbel_is_a_softmax_of_scores_and_noise():
    attention = built("gumbel", num_samples=2)
    noise = normal(2, 3, 22, seed=5)
    for temperature in (0.7, 5.0):
        attention.temperature.assign(temperature)
        _, alignments, _ = attention.explore(
            ops.convert_to_tensor(QUERY), prepared_for(attention), (), ops.convert_to_tensor(noise)
        )
        perturbed = scores_of(attention)[:, :, None] + noise.reshape(2, 3, 2, 11)
        expected = references.softmax(perturbed / temperature, MASK[:, None, None]).mean(axis=2)
        assert_close(alignments, expected)


def test_the_temperature_is_no_trained_weight():
    attention = layers.HardAttention("bilinear", estimator="gumbel", temperature=0.3)
    attention.build(QUERY.shape, MEMORY.shape)
    assert float(to_numpy(attention.temperature.value)) == pytest.approx(0.3)
    assert attention.temperature in attention.non_trainable_variables
    attention.temperature.assign(0.1)
    assert attention.get_config()["temperature"] == 0.3  # Where it starts.


@pytest.mark.parametrize("estimator", ["gumbel", "reinforce"])
def test_a_temperature_that_is_not_there_is_explained(estimator):
    with pytest.raises(ValueError, match=f"Received: estimator='{estimator}', built=False"):
        layers.HardAttention("bilinear", estimator=estimator).temperature.assign(0.5)


def test_draws_that_nobody_charges_are_told_of_once():
    attention = layers.HardAttention("bilinear")
    with pytest.warns(UserWarning, match="do not learn here.*ReinforceModel") as told:
        attention(QUERY, MEMORY, training=True)
        attention(QUERY, MEMORY, training=True)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention(QUERY, MEMORY)
        layers.HardAttention("bilinear", estimator="gumbel")(QUERY, MEMORY, training=True)
        with collect_draws():
            layers.HardAttention("bilinear")(QUERY, MEMORY, training=True)


def test_no_gradient_goes_through_a_draw():
    attention = built()

    def context(query):
        noise = ops.convert_to_tensor(normal(2, 3, 11, seed=5))
        return (
            attention.explore(query, prepared_for(attention), (), noise)[0] + 0.0 * query[:, :, :1]
        )

    _, (gradient,) = outputs_and_gradients(context, [QUERY], np.float32(1.0))
    assert np.all(gradient == 0.0)


# === What is handed in ===


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
    attention = layers.HardAttention("bilinear", num_samples=2)
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


# === Edges ===


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_training_is_finite_where_there_is_nothing_or_too_much(estimator, dtype):
    attention = built(estimator, dtype=dtype, num_samples=2, soft_mixing=0.2, seed=1)
    mask = MASK.copy()
    mask[0] = False
    with collect_draws() as draws:
        context, alignments = attention(
            30.0 * QUERY, 30.0 * MEMORY, memory_mask=mask, return_alignments=True, training=True
        )
    assert keras.backend.standardize_dtype(alignments.dtype) == dtype.removeprefix("mixed_")
    assert np.all(to_numpy(alignments)[0] == 0.0) and np.all(to_numpy(context)[0] == 0.0)
    assert np.all(to_numpy(alignments)[1, :, 7:] == 0.0)
    np.testing.assert_allclose(to_numpy(alignments)[1].sum(axis=-1), 1.0, atol=0.01)
    for one in draws:
        for tensor in (one.log_probs, one.entropy, one.baseline):
            assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
            assert np.all(np.isfinite(to_numpy(tensor)))
            assert np.all(to_numpy(tensor)[0] == 0.0) or tensor is one.baseline


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": "soft"}, "`estimator` must be one of .*'gumbel'.*: estimator='soft'"),
        ({"estimator": "exact"}, "`ExactHardAttention`, .*\"hard_exact\".*: estimator='exact'"),
        (
            {"estimator": "exact_monotonic"},
            "`ExactMonotonicAttention`, .* Received: estimator='exact_monotonic'",
        ),
        ({"baseline": "mean"}, "`baseline` must be one of .*'learned', None.*: baseline='mean'"),
        ({"credit": "token"}, "`credit` must be one of .*'example'.* Received: credit='token'"),
        ({"num_samples": 0}, "`num_samples` .* Received: num_samples=0"),
        ({"baseline_decay": 1.0}, r"in \[0, 1\). Received: baseline_decay=1.0"),
        ({"soft_mixing": -0.1}, r"in \[0, 1\). Received: soft_mixing=-0.1"),
        ({"soft_mixing": 1.0}, r"in \[0, 1\). Received: soft_mixing=1.0"),
        ({"entropy_weight": -1.0}, "at least 0. Received: entropy_weight=-1.0"),
        (
            {"entropy_weight": 0.1, "estimator": "gumbel"},
            "goes with `estimator=\"reinforce\"`. Received: .*0.1, estimator='gumbel'",
        ),
        (
            {"baseline": "learned", "estimator": "gumbel"},
            "`baseline` goes with `estimator=\"reinforce\"`. Received: baseline='learned', est",
        ),
        (
            {"credit": "example", "estimator": "straight_through"},
            "`credit` goes with `estimator=\"reinforce\"`. Received: credit='example', estimator",
        ),
        (
            {"units": 3, "normalizer": "sparsemax"},
            "attention takes those of .* Received: normalizer",
        ),
        ({"temperature": 0.0}, "above 0, and finite. Received: temperature=0.0"),
        ({"temperature": float("nan")}, "above 0, and finite. Received: temperature=nan"),
        ({"temperature": float("inf")}, "above 0, and finite. Received: temperature=inf"),
        (
            {"temperature": 0.5},
            "goes with `estimator=\"gumbel\"`. Received: .*0.5, estimator='reinforce'",
        ),
        ({"score": "cosine"}, "Received: score='cosine'"),
        ({"score": layers.DotScore(), "units": 7}, "with {'units': 7}"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.HardAttention(**arguments)

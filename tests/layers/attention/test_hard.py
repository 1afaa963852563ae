import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.attention.draws import collect_draws
from tests import references
from tests.layers.attention.hard_tools import (
    CLASSES,
    MASK,
    MEMORY,
    QUERY,
    built,
    drawn_from,
    prepared_for,
    scores_of,
)
from tests.tools import assert_close, normal, to_numpy

ESTIMATORS = tuple(CLASSES)


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
    context, alignments = attention.noisy_attend(
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


# === What is handed in ===


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
        ({"estimator": "exact"}, "`ExactHardAttention` .*\"hard_exact\".*: estimator='exact'"),
        ({"num_samples": 0}, "`num_samples` .* Received: num_samples=0"),
        ({"soft_mixing": -0.1}, r"in \[0, 1\). Received: soft_mixing=-0.1"),
        ({"soft_mixing": 1.0}, r"in \[0, 1\). Received: soft_mixing=1.0"),
        (
            {"units": 3, "normalizer": "sparsemax"},
            "attention takes those of .* Received: normalizer",
        ),
        ({"score": "cosine"}, "Received: score='cosine'"),
        ({"score": layers.DotScore(), "units": 7}, "with {'units': 7}"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.HardAttention(**arguments)


# === One name for all estimators ===


@pytest.mark.parametrize("estimator", [None, *ESTIMATORS])
def test_hard_attention_makes_the_class_of_the_estimator(estimator):
    arguments = {} if estimator is None else {"estimator": estimator}
    attention = layers.HardAttention("bilinear", num_samples=2, **arguments)
    assert isinstance(attention, CLASSES[estimator or "reinforce"])
    assert attention.name.startswith("hard_attention") and attention.num_samples == 2
    assert attention.get_config()["estimator"] == (estimator or "reinforce")
    revived = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attention))
    assert type(revived) is type(attention) and revived.get_config() == attention.get_config()


def test_a_class_takes_no_other_estimator():
    assert layers.ReinforceAttention("bilinear", estimator="reinforce").estimator == "reinforce"
    with pytest.raises(ValueError, match="one of .'reinforce'.. Received: estimator='gumbel'"):
        layers.ReinforceAttention("bilinear", estimator="gumbel")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_configs_from_before_each_estimator_had_a_class_are_read(estimator):
    config = {
        "name": "attention",
        "trainable": True,
        "dtype": "float32",
        "score": keras.saving.serialize_keras_object(layers.BilinearScore(name="score")),
        "estimator": estimator,
        "num_samples": 2,
        "baseline": "moving_average",
        "baseline_decay": 0.9,
        "entropy_weight": 0.0,
        "credit": "step",
        "soft_mixing": 0.5,
        "temperature": 1.0,
        "seed": 3,
    }
    attention = keras.saving.deserialize_keras_object(
        {
            "module": "attnzoo.layers.attention.hard",
            "class_name": "HardAttention",
            "registered_name": "attnzoo>HardAttention",
            "config": config,
        }
    )
    assert isinstance(attention, CLASSES[estimator])
    assert (attention.num_samples, attention.soft_mixing, attention.seed) == (2, 0.5, 3)


def test_files_address_weights_by_the_name_they_had(tmp_path):
    """Keras takes it from the class: so models that name an estimator read their old weights."""
    inputs = keras.Input((None, 5)), keras.Input((None, 7))
    model = keras.Model(inputs, layers.HardAttention("bilinear", estimator="gumbel")(*inputs))
    model.save_weights(tmp_path / "model.weights.h5")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert "hard_attention" in file["layers"]


def test_an_estimator_must_draw():
    attention = _Undrawn("bilinear")
    attention.build(QUERY.shape, MEMORY.shape)
    with pytest.raises(NotImplementedError, match="`_Undrawn` must implement `draw`"):
        attention(QUERY, MEMORY, training=True)


class _Undrawn(layers.HardAttention):
    pass

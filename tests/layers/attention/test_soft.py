import numpy as np
import pytest

from attnzoo import layers, ops
from tests import references
from tests.catalogue import NegativeDistance
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)
MASK = lengths_mask([11, 7], 11)


def built(attention):
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    return attention


def scores_of(attention):
    """The scores that the mechanism's equation asks for, in NumPy."""
    weights = weights_of(attention)
    kind = type(attention.score)
    if kind is layers.DotScore:
        return references.dot_scores(QUERY, MEMORY, weights.get("factor", 1.0))
    if kind is layers.BilinearScore:
        return references.bilinear_scores(QUERY, MEMORY, **weights)
    if kind is layers.LocationScore:
        return references.location_scores(QUERY, 11, **weights)
    return references.additive_scores(QUERY, MEMORY, **weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.SoftAttention(layers.AdditiveScore(7)),
        lambda: layers.SoftAttention("additive", units=7, normalize=True),
        lambda: layers.BahdanauAttention(7),
        lambda: layers.BahdanauAttention(7, normalize=True),
        lambda: layers.LuongAttention("dot"),
        lambda: layers.LuongAttention("dot", scale="learned"),
        lambda: layers.LuongAttention("general"),
        lambda: layers.LuongAttention("concat", units=7),
        lambda: layers.LuongAttention("location", max_length=13),
    ],
)
def test_soft_attention_follows_its_equation(make):
    attention = built(make())
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    expected = references.soft_attention(scores_of(attention), MEMORY, MASK[:, None, :])
    assert_close(found, expected)


@pytest.mark.parametrize("shape", ["T S", "B T S"])
@pytest.mark.parametrize("with_memory_mask", [False, True])
def test_a_mask_over_pairs_joins_the_mask_over_memory(shape, with_memory_mask):
    attention = built(layers.LuongAttention("general"))
    pairs = to_numpy(ops.causal_mask(3, 11))
    if shape == "B T S":
        pairs = np.stack([pairs, np.roll(pairs, 2, axis=1)])
    memory_mask = MASK if with_memory_mask else None
    found = attention(
        QUERY, MEMORY, memory_mask=memory_mask, attention_mask=pairs, return_alignments=True
    )
    mask = pairs & MASK[:, None, :] if with_memory_mask else pairs
    assert_close(found, references.soft_attention(scores_of(attention), MEMORY, mask))


@pytest.mark.parametrize(("normalizer", "alpha"), [("sparsemax", 2.0), ("entmax15", 1.5)])
@pytest.mark.parametrize(
    "make",
    [
        lambda **arguments: layers.SoftAttention("bilinear", **arguments),
        lambda **arguments: layers.BahdanauAttention(7, **arguments),
        lambda **arguments: layers.LuongAttention("dot", **arguments),
    ],
)
def test_a_sparse_normalizer_takes_the_place_of_the_softmax(make, normalizer, alpha):
    attention = built(make(normalizer=normalizer))
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    alignments = references.entmax(scores_of(attention), MASK[:, None, :], alpha)
    assert_close(found, (alignments @ MEMORY.astype("float64"), alignments))
    assert np.sum((to_numpy(found[1]) == 0.0) & MASK[:, None, :]) > 3
    again = type(attention).from_config(attention.get_config())
    assert again.normalizer == normalizer


def test_an_unknown_normalizer_is_refused():
    with pytest.raises(ValueError, match="'entmax15', 'softmax', .* Received: normalizer='hard'"):
        layers.BahdanauAttention(7, normalizer="hard")


def test_large_scores_stay_finite():
    attention = layers.LuongAttention("dot")
    context = to_numpy(attention(QUERY * 1e4, MEMORY * 1e4, memory_mask=MASK))
    assert np.all(np.isfinite(context))


def test_a_named_attention_is_soft_attention_with_its_score():
    named = built(layers.BahdanauAttention(7))
    spelled = built(layers.SoftAttention(score=layers.AdditiveScore(units=7)))
    assert_close(named(QUERY, MEMORY), spelled(QUERY, MEMORY), tolerance=0.0)


def test_a_score_of_ones_own_works():
    attention = layers.SoftAttention(score=NegativeDistance())
    distances = ((QUERY[:, :, None] - MEMORY[:, None]).astype("float64") ** 2).sum(-1)
    expected = references.soft_attention(-distances, MEMORY, MASK[:, None, :])
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True), expected)


def test_a_named_score_takes_the_layers_precision():
    attention = layers.SoftAttention("additive", units=7, dtype="mixed_bfloat16")
    assert attention.score.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("score", ["additive", "cosine", None])
def test_luong_has_four_scores(score):
    with pytest.raises(ValueError, match=rf"'dot', 'general'.* Received: score={score!r}"):
        layers.LuongAttention(score)


def test_an_unknown_score_is_refused():
    with pytest.raises(ValueError, match="`score` must be one of .* Received: score='cosine'"):
        layers.SoftAttention("cosine")


def test_a_score_has_its_arguments_already():
    with pytest.raises(ValueError, match=r"Received: score=<DotScore.* with {'units': 7}"):
        layers.SoftAttention(layers.DotScore(), units=7)


def test_no_units_are_refused():
    with pytest.raises(ValueError, match="Received: units=0"):
        layers.BahdanauAttention(0)

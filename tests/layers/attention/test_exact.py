"""The two attentions whose place is summed out exactly: what they share, and what each has."""

import keras
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
MASK = lengths_mask([11, 7], 11)
CHAINS = [{}, {"order": 0}, {"max_jump": 3}]
each_attention = pytest.mark.parametrize(
    "make", [layers.ExactHardAttention, layers.ExactMonotonicAttention]
)


# === Both ===


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (layers.ExactHardAttention, {}),
        *((layers.ExactMonotonicAttention, arguments) for arguments in CHAINS),
    ],
)
def test_its_doors_are_those_of_a_soft_attention(make, arguments):
    attention = make(**arguments)
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    scores = references.bilinear_scores(QUERY, MEMORY, **weights_of(attention))
    expected = references.soft_attention(scores, MEMORY, MASK[:, None, :])
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True), expected)
    assert attention.marginal and not layers.SoftAttention("bilinear").marginal


@each_attention
def test_nothing_is_fed_back_unless_it_is_asked_for(make):
    cell = layers.AttentionCell(keras.layers.GRUCell(7), make(), attend="after")
    assert cell.input_feeding is False


@each_attention
@pytest.mark.parametrize("arguments", [{"attend": "before"}, {"input_feeding": True}])
def test_a_place_that_later_steps_depend_on_is_refused(make, arguments):
    arguments = {"attend": "after", **arguments}
    received = rf"attend='{arguments['attend']}', input_feeding={'input_feeding' in arguments}"
    message = f"`input_feeding=False`.*Received: {received} .*{make.__name__}"
    with pytest.raises(ValueError, match=message):
        layers.AttentionCell(keras.layers.GRUCell(7), make(), **arguments)


# === Hard ===


def test_any_score_and_normalizer_goes_with_it():
    attention = layers.ExactHardAttention("additive", units=7, normalizer="sparsemax")
    again = layers.ExactHardAttention.from_config(attention.get_config())
    assert type(again.score) is layers.AdditiveScore
    assert again.normalizer == "sparsemax"


# === Monotonic ===


@pytest.mark.parametrize("arguments", CHAINS, ids=str)
def test_its_output_layer_knows_its_chain(arguments):
    attention = layers.ExactMonotonicAttention("additive", units=7, **arguments)
    again = layers.ExactMonotonicAttention.from_config(attention.get_config())
    for one in (attention, again):
        output_layer = one.make_output_layer(17, hidden_dim=7, dropout=0.1)
        assert type(output_layer) is layers.MonotonicMarginalLogits
        config = output_layer.get_config()
        assert (config["vocabulary_size"], config["dropout"]) == (17, 0.1)
        assert config["order"] == arguments.get("order", 1)
        assert config["max_jump"] == arguments.get("max_jump")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 2}, "0 or 1. Received: order=2"),
        ({"max_jump": 0}, "at least 1. Received: max_jump=0"),
        ({"order": 0, "max_jump": 3}, "use `max_jump=None`.*Received: max_jump=3 with order=0"),
    ],
)
def test_a_chain_that_there_is_not_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.ExactMonotonicAttention(**arguments)

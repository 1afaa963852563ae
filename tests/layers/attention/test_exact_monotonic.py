import keras
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")
QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
MASK = lengths_mask([11, 7], 11)


@pytest.mark.parametrize("arguments", [{}, {"order": 0}, {"max_jump": 3}], ids=str)
def test_its_doors_are_those_of_a_soft_attention(arguments):
    attention = layers.ExactMonotonicAttention(**arguments)
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    scores = references.bilinear_scores(QUERY, MEMORY, **weights_of(attention))
    expected = references.soft_attention(scores, MEMORY, MASK[:, None, :])
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True), expected)
    assert attention.marginal


@pytest.mark.parametrize("arguments", [{}, {"order": 0}, {"max_jump": 3}], ids=str)
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


@pytest.mark.parametrize("arguments", [{"attend": "before"}, {"input_feeding": True}])
def test_a_place_that_later_steps_depend_on_is_refused(arguments):
    arguments = {"attend": "after", **arguments}
    with pytest.raises(ValueError, match="`input_feeding=False`.*Received: .*ExactMonotonic"):
        layers.AttentionCell(keras.layers.GRUCell(7), layers.ExactMonotonicAttention(), **arguments)

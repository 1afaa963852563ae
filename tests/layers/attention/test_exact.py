import keras
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")
QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
MASK = lengths_mask([11, 7], 11)


def test_its_doors_are_those_of_a_soft_attention():
    attention = layers.ExactHardAttention()
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    scores = references.bilinear_scores(QUERY, MEMORY, **weights_of(attention))
    expected = references.soft_attention(scores, MEMORY, MASK[:, None, :])
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True), expected)
    assert attention.marginal and not layers.SoftAttention("bilinear").marginal


def test_any_score_and_normalizer_goes_with_it():
    attention = layers.ExactHardAttention("additive", units=7, normalizer="sparsemax")
    again = layers.ExactHardAttention.from_config(attention.get_config())
    assert type(again.score) is layers.AdditiveScore
    assert again.normalizer == "sparsemax"


def test_nothing_is_fed_back_unless_it_is_asked_for():
    cell = layers.AttentionCell(
        keras.layers.GRUCell(7), layers.ExactHardAttention(), attend="after"
    )
    assert cell.input_feeding is False


@pytest.mark.parametrize("arguments", [{"attend": "before"}, {"input_feeding": True}])
def test_a_place_that_later_steps_depend_on_is_refused(arguments):
    arguments = {"attend": "after", **arguments}
    received = rf"attend='{arguments['attend']}', input_feeding={'input_feeding' in arguments}"
    with pytest.raises(ValueError, match=f"`input_feeding=False`.*Received: {received} .*Exact"):
        layers.AttentionCell(keras.layers.GRUCell(7), layers.ExactHardAttention(), **arguments)

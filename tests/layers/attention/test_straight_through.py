import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.layers.attention.hard_tools import (
    MASK,
    MEMORY,
    QUERY,
    built,
    drawn_from,
    scores_of,
)
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import normal


def test_straight_through_draws_and_has_the_gradient_of_soft_attention():
    attention = built("straight_through")
    soft = layers.SoftAttention(attention.score)
    soft.built = True
    noise = normal(2, 3, 11, seed=5)
    upstream = normal(2, 3, 11, seed=6)

    def hard_alignments(query, memory):
        prepared = attention.prepare(memory, ops.convert_to_tensor(MASK))
        return attention.noisy_step(query, prepared, (), ops.convert_to_tensor(noise))[1]

    def soft_alignments(query, memory):
        return soft.attend(query, soft.prepare(memory, ops.convert_to_tensor(MASK)))[1]

    found = outputs_and_gradients(hard_alignments, [QUERY, MEMORY], upstream)
    expected = outputs_and_gradients(soft_alignments, [QUERY, MEMORY], upstream)
    np.testing.assert_array_equal(found[0], drawn_from(scores_of(attention), noise))
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_options_of_others_are_refused():
    with pytest.raises(ValueError, match="takes those of .* Received: credit"):
        layers.StraightThroughAttention("bilinear", credit="example")

"""What the attentions with a history share."""

import pytest
from keras import ops

from attnzoo import layers
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, set_weights

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)
MASK = lengths_mask([11, 7], 11)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LocationSensitiveAttention(13, filters=3, kernel_size=5, cumulative=True),
        lambda: layers.CoverageAttention(13),
    ],
    ids=["location_sensitive", "coverage"],
)
def test_compiled_with_unknown_sizes_it_has_the_gradients_of_an_eager_call(make):
    attention = make()
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    upstream = normal(2, 3, 7, seed=3)

    def run(query, memory):
        return attention(query, memory, memory_mask=ops.convert_to_tensor(MASK))

    eager = outputs_and_gradients(run, [QUERY, MEMORY], upstream)
    compiled = outputs_and_gradients(
        run,
        [QUERY, MEMORY],
        upstream,
        compiled="xla",
        known=[(None, None, 5), (None, None, 7)],
    )
    assert_close(compiled[0], eager[0])
    assert_close(compiled[1], eager[1], tolerance=1e-4)

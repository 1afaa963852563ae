"""What the attentions with a history share."""

import keras
import pytest
from keras import ops

from attnzoo import layers
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, set_weights

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)
MASK = lengths_mask([11, 7], 11)


SIZES = {"filters": 3, "kernel_size": 5, "cumulative": True}
both = pytest.mark.parametrize(
    "make",
    [
        lambda **more: layers.LocationSensitiveAttention(13, **SIZES, **more),
        lambda **more: layers.CoverageAttention(13, **more),
    ],
    ids=["location_sensitive", "coverage"],
)


@both
def test_a_long_history_grows_in_half_precision_too(make):
    attention = make(dtype="mixed_bfloat16")
    memory = ops.convert_to_tensor(normal(1, 512, 7))
    attention.build((1, 1, 5), memory.shape)
    prepared = attention.prepare(ops.cast(memory, "bfloat16"))
    state = attention.initial_state(prepared) + 1.0
    query = ops.cast(ops.convert_to_tensor(normal(1, 1, 5)), "bfloat16")
    _, alignments, after = attention.step(query, prepared, state)
    # bfloat16 has no number between 1 and 1.0078.
    assert_close(after - state, ops.cast(alignments, "float32"), tolerance=1e-6)
    assert float(ops.sum(after - state)) == pytest.approx(1.0, abs=0.02)
    assert keras.backend.standardize_dtype(alignments.dtype) == "bfloat16"


@both
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

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import causal_mask, combine_masks, padding_mask
from tests.tools import lengths_mask

MEMORY_MASK = lengths_mask([11, 5], 11)  # [2, 11]
PAIRS = np.arange(2 * 3 * 11).reshape(2, 3, 11) % 2 == 0


def as_bool(mask):
    """The mask as NumPy has it; it must be bool already."""
    assert keras.backend.standardize_dtype(mask.dtype) == "bool"
    return ops.convert_to_numpy(mask)


def test_padding_mask_marks_the_first_places():
    mask = as_bool(padding_mask([2, 3, 0, 4], max_length=4))
    expected = [
        [True, True, False, False],
        [True, True, True, False],
        [False, False, False, False],
        [True, True, True, True],
    ]
    np.testing.assert_array_equal(mask, expected)


def test_padding_mask_takes_tensors_of_any_integer_dtype():
    for dtype in ("int32", "int64", "uint8"):
        lengths = ops.convert_to_tensor(np.array([2, 11], dtype))
        np.testing.assert_array_equal(as_bool(padding_mask(lengths, 11)), lengths_mask([2, 11], 11))


def test_a_length_past_the_end_marks_all_places():
    assert as_bool(padding_mask([7], 5)).all()


def test_causal_mask_lets_a_query_see_its_place_and_those_before():
    mask = as_bool(causal_mask(3, 5))
    for t in range(3):
        for s in range(5):
            assert mask[t, s] == (s <= t)
    np.testing.assert_array_equal(as_bool(causal_mask(5, 3)), np.tri(5, 3, dtype=bool))


def test_one_mask_alone_stays_as_it_is():
    assert combine_masks() is None
    np.testing.assert_array_equal(as_bool(combine_masks(MEMORY_MASK)), MEMORY_MASK[:, None, :])
    assert combine_masks(attention_mask=PAIRS) is PAIRS


def test_both_masks_must_allow_a_pair():
    expected = MEMORY_MASK[:, None, :] & PAIRS
    np.testing.assert_array_equal(as_bool(combine_masks(MEMORY_MASK, PAIRS)), expected)
    causal = causal_mask(3, 11)  # [3, 11], the same for each example
    expected = MEMORY_MASK[:, None, :] & np.tri(3, 11, dtype=bool)
    np.testing.assert_array_equal(as_bool(combine_masks(MEMORY_MASK, causal)), expected)


def test_combined_masks_have_the_shape_of_scores_in_a_functional_model():
    memory_mask = keras.Input((None,), dtype="bool")
    attention_mask = keras.Input((None, None), dtype="bool")
    assert combine_masks(memory_mask).shape == (None, 1, None)
    assert combine_masks(memory_mask, attention_mask).shape == (None, None, None)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)
def test_sizes_may_be_unknown_while_tracing():
    import tensorflow as tf

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None, None], tf.bool),
        ]
    )
    def both(lengths, pairs):
        mask = padding_mask(lengths, max_length=11)
        return mask, combine_masks(mask, pairs)

    mask, combined = both(np.array([11, 5], "int32"), PAIRS)
    np.testing.assert_array_equal(as_bool(mask), MEMORY_MASK)
    np.testing.assert_array_equal(as_bool(combined), MEMORY_MASK[:, None, :] & PAIRS)


def test_a_mask_without_places_is_refused():
    with pytest.raises(ValueError, match="`max_length` must be at least 1. Received: max_length=0"):
        padding_mask([0], max_length=0)


@pytest.mark.parametrize(
    ("lengths", "received"), [((0, 3), "query_length=0"), ((3, -1), "memory_length=-1")]
)
def test_a_causal_mask_without_queries_or_places_is_refused(lengths, received):
    with pytest.raises(ValueError, match=f"must be at least 1. Received: {received}"):
        causal_mask(*lengths)

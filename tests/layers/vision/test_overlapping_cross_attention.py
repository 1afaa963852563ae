import numpy as np
import pytest

from attnzoo import layers
from tests import hat_references
from tests.tools import assert_close, normal, set_weights, to_numpy

X = normal(2, 4, 6, 10, seed=1)


def built(cls=layers.OverlappingCrossAttention, **arguments):
    layer = cls(2, 2, **arguments)
    layer.build(X.shape)
    set_weights(layer)
    return layer


@pytest.mark.parametrize("overlap_ratio", [0.0, 1.0, 2.0])
def test_pixels_attend_to_the_window_around_theirs(overlap_ratio):
    layer = built(overlap_ratio=overlap_ratio)
    assert_close(layer(X), hat_references.overlapping_cross_attention(X, layer))


def test_alignments_come_with_the_same_output_and_give_weight_to_zeros_outside():
    layer = built(overlap_ratio=1.0)
    outputs, alignments = to_numpy(layer(X, return_alignments=True))
    assert alignments.shape == (2, 6, 2, 4, 16)
    assert_close(alignments.sum(axis=-1), np.ones((2, 6, 2, 4)))
    assert_close(outputs, layer(X))
    assert (alignments[:, 0, :, :, 0] > 0.0).all()  # The corner beyond the image.


def test_the_block_follows_its_equations():
    block = built(layers.OverlappingCrossAttentionBlock, overlap_ratio=1.0, feed_forward_dim=7)
    assert_close(block(X), hat_references.overlapping_block(X, block))


@pytest.mark.backend_free
@pytest.mark.parametrize(("window_size", "overlap_ratio"), [(3, 0.5), (2, 3.0)])
def test_an_overlap_has_two_equal_sides(window_size, overlap_ratio):
    with pytest.raises(ValueError, match=f"even.*Received: overlap_ratio={overlap_ratio}, window"):
        layers.OverlappingCrossAttention(2, window_size, overlap_ratio=overlap_ratio)

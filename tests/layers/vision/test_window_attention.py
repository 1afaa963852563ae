import numpy as np
import pytest

from attnzoo import layers
from attnzoo.importing import hat
from attnzoo.ops.image_windows import merge_windows, partition_windows
from tests import hat_references
from tests.hat_references import Arrays, assign
from tests.tools import assert_close, normal, set_weights, to_numpy

X = normal(2, 6, 9, 10, seed=1)


def built(**arguments):
    layer = layers.WindowAttention(2, 3, **arguments)
    layer.build(X.shape)
    set_weights(layer)
    return layer


@pytest.mark.parametrize("shift", [0, 1])
def test_pixels_attend_to_their_window(shift):
    layer = built(shift=shift)
    assert_close(layer(X), hat_references.window_attention(X, layer))


@pytest.mark.parametrize("shift", [0, 2])
def test_alignments_come_with_the_same_output(shift):
    layer = built(shift=shift)
    outputs, alignments = to_numpy(layer(X, return_alignments=True))
    assert alignments.shape == (2, 6, 2, 9, 9)
    assert_close(alignments.sum(axis=-1), np.ones((2, 6, 2, 9)))
    assert_close(outputs, layer(X))
    # Only the last window of a rolled image has pixels that were no neighbours.
    hidden = alignments == 0.0
    assert hidden.any() == bool(shift) and not hidden[:, 0].any()


def test_a_change_stays_in_its_window():
    layer = built(shift=1)
    changed = X.copy()
    changed[:, 5, 8] += 1.0
    moved = np.abs(to_numpy(layer(changed)) - to_numpy(layer(X))).max(axis=(0, 3)) > 1e-6
    assert moved[4:, 7:].all() and not moved[:4].any() and not moved[:, :7].any()


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_attention_of_the_paper(masked):
    arrays = Arrays("hat_window_attention")
    layer = layers.WindowAttention(3, 4, shift=2 if masked else 0)
    layer.build((None, 8, 12, 24))
    names = ((name.lstrip("."), one) for name, one in hat.of_heads("", layer))
    assign(names, arrays.weights())
    shift = 2 if masked else 0  # The arrays are of windows that were rolled before.
    image = np.roll(to_numpy(merge_windows(arrays["in/x"], 8, 12, 4)), (shift, shift), axis=(1, 2))
    outputs = np.roll(to_numpy(layer(image)), (-shift, -shift), axis=(1, 2))
    expected = arrays["out/y_masked" if masked else "out/y"]
    assert_close(partition_windows(outputs, 4), expected, tolerance=1e-4)


@pytest.mark.backend_free
def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="must be in 0..window_size - 1. Received: shift=3"):
        layers.WindowAttention(2, 3, shift=3)
    with pytest.raises(ValueError, match="must divide the channels. Received: num_heads=3, chan"):
        layers.WindowAttention(3, 3).build(X.shape)
    with pytest.raises(ValueError, match="must be multiples of `window_size`.*(2, 6, 9, 10)"):
        layers.WindowAttention(2, 4)(X)
    with pytest.raises(ValueError, match=r"must have rank 4.*\(6, 9, 10\)"):
        layers.WindowAttention(2, 3).compute_output_shape((6, 9, 10))

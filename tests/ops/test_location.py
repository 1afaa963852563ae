import numpy as np
import pytest

from attnzoo.ops import location_features
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, normal, to_numpy

ALIGNMENTS = np.abs(normal(2, 3, 11, seed=1))


@pytest.mark.parametrize("width", [1, 5, 23])
def test_features_are_a_convolution_over_places(width):
    kernel = normal(width, 7, seed=2)
    expected = references.location_features(ALIGNMENTS, kernel)
    assert_close(location_features(ALIGNMENTS, kernel), expected)


def test_a_filter_of_one_place_to_the_right_reads_the_right_neighbour():
    kernel = np.zeros((3, 1), "float32")
    kernel[2] = 1.0
    found = to_numpy(location_features(ALIGNMENTS, kernel))[..., 0]
    np.testing.assert_array_equal(found[..., :-1], ALIGNMENTS[..., 1:])
    assert np.all(found[..., -1] == 0.0)


@pytest.mark.parametrize("compiled", [False, "xla"])
def test_gradients_are_those_of_the_convolution(compiled):
    kernel, upstream = normal(5, 7, seed=2), normal(2, 3, 11, 7, seed=3).astype("float64")
    _, (alignments_gradient, kernel_gradient) = outputs_and_gradients(
        location_features,
        [ALIGNMENTS, kernel],
        upstream.astype("float32"),
        compiled=compiled,
        known=[(None, None, None), (5, 7)],
    )
    padded = np.pad(ALIGNMENTS.astype("float64"), [(0, 0), (0, 0), (2, 2)])
    windows = np.stack([padded[..., j : j + 11] for j in range(5)], axis=-1)
    assert_close(kernel_gradient, np.einsum("btsj,btsn->jn", windows, upstream).astype("float32"))
    # The transposed convolution: the same one, with its filters turned round.
    back = sum(
        references.location_features(upstream[..., n], kernel[::-1, n : n + 1])[..., 0]
        for n in range(7)
    )
    assert_close(alignments_gradient, back.astype("float32"))


def test_an_even_width_is_refused():
    with pytest.raises(ValueError, match=r"odd number .* Received: kernel.shape=\(4, 7\)"):
        location_features(ALIGNMENTS, normal(4, 7))

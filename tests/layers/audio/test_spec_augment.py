"""What SpecAugment hides: no more than it may, and other spans in each clip."""

import numpy as np
import pytest

from attnzoo.layers import SpecAugment
from tests import tools

B, F, D = 64, 40, 20


def hidden_in(frames=F, **arguments):
    """bool [B, F, D]: what is hidden of features of ones."""
    layer = SpecAugment(seed=0, **arguments)
    features = np.ones((B, F, D), "float32")
    mask = tools.lengths_mask([frames] * B, F)
    outputs = tools.to_numpy(layer(features, padding_mask=mask, training=True))
    assert set(np.unique(outputs)) <= {0.0, 1.0}
    return outputs == 0.0


def test_one_span_is_no_longer_than_it_may_be_and_lies_in_the_clip():
    hidden = hidden_in(frames=30, frequency_masks=0, time_masks=1, time_width=9, time_share=0.2)
    assert (hidden.all(axis=2) == hidden.any(axis=2)).all()
    spans = hidden[:, :, 0]
    lengths = spans.sum(axis=1)
    assert lengths.max() == 6 and lengths.min() == 0  # A fifth of 30 frames.
    assert not spans[:, 30:].any()
    assert (np.abs(np.diff(spans.astype(int), axis=1)).sum(axis=1) <= 2).all()  # One span.
    assert len(np.unique(spans, axis=0)) > B // 2
    # A length is uniform in 0, ..., 6: its mean is 3, its variance 4.
    assert abs(lengths.mean() - 3.0) < 4 * 2.0 / np.sqrt(B)


def test_bands_are_hidden_in_all_frames():
    hidden = hidden_in(frequency_masks=2, frequency_width=3, time_masks=0)
    assert (hidden.all(axis=1) == hidden.any(axis=1)).all()
    widths = hidden[:, 0].sum(axis=1)
    assert 3 < widths.max() <= 6
    assert hidden[:, 0].any(axis=0).all()  # Every feature is hidden at times.


def test_nothing_is_hidden_at_inference_or_if_nothing_may_be():
    features = tools.normal(2, 3, 5)
    np.testing.assert_array_equal(tools.to_numpy(SpecAugment()(features)), features)
    assert not hidden_in(frequency_masks=0, time_masks=0).any()
    assert not hidden_in(frequency_width=0, time_share=0.0).any()
    layer = SpecAugment(frequency_width=100, time_share=1.0, time_width=100)
    assert tools.to_numpy(layer(features, training=True)).shape == (2, 3, 5)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"time_masks": -1}, "`time_masks` must be at least 0. Received: time_masks=-1"),
        ({"time_share": 1.5}, r"`time_share` must be in \[0, 1\]. Received: time_share=1.5"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpecAugment(**arguments)

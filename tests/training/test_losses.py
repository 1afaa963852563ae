"""Cross-entropy with label smoothing, against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.training import SmoothedCrossEntropy
from tests import tools

B, T, V = 2, 3, 7


def log_softmax(logits):
    logits = logits.astype("float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def expected_nats(targets, logits, smoothing):
    """float64 [B, T]: the cross-entropy with the smoothed distribution, written out in full."""
    wanted = (1 - smoothing) * np.eye(V)[targets] + smoothing / V
    return -(wanted * log_softmax(logits)).sum(axis=-1)


@pytest.fixture
def targets():
    return np.array([[1, 6, 0], [3, 3, 5]], dtype="int32")


@pytest.fixture
def logits():
    return 3 * tools.normal(B, T, V)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_each_token_costs_what_numpy_says(targets, logits, smoothing):
    loss = SmoothedCrossEntropy(smoothing, reduction=None)
    tools.assert_close(
        loss(targets, logits), expected_nats(targets, logits, smoothing).astype("float32")
    )


def test_the_loss_is_the_mean_over_the_real_tokens(targets, logits):
    weights = np.array([[1, 1, 0], [1, 0, 0]], dtype="float32")
    nats = expected_nats(targets, logits, 0.1)
    loss = SmoothedCrossEntropy(0.1)(targets, logits, sample_weight=weights)
    assert float(loss) == pytest.approx((nats * weights).sum() / 3, rel=1e-5)


def test_what_stands_in_padding_does_not_matter(targets, logits):
    weights = np.array([[1, 1, 0], [1, 0, 0]], dtype="float32")
    loss = SmoothedCrossEntropy(0.1)
    before = float(loss(targets, logits, sample_weight=weights))
    padding = weights == 0
    targets[padding] = 2
    logits[padding] = 100.0
    assert float(loss(targets, logits, sample_weight=weights)) == pytest.approx(before, rel=1e-6)


def test_a_batch_with_more_padding_costs_the_same(targets, logits):
    loss = SmoothedCrossEntropy(0.1)
    before = float(loss(targets, logits, sample_weight=np.ones((B, T), "float32")))
    after = loss(
        np.pad(targets, ((0, 0), (0, 4))),
        np.pad(logits, ((0, 0), (0, 4), (0, 0))),
        sample_weight=np.pad(np.ones((B, T), "float32"), ((0, 0), (0, 4))),
    )
    assert float(after) == pytest.approx(before, rel=1e-6)


def test_logits_of_any_size_stay_finite(targets, logits):
    loss = SmoothedCrossEntropy(0.1)(targets, 1e4 * logits)
    assert np.isfinite(float(loss))


def test_half_precision_logits_are_summed_in_full_precision(targets, logits):
    half = ops.cast(logits, "bfloat16")
    loss = SmoothedCrossEntropy(0.1, reduction=None)(targets, half)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    tools.assert_close(loss, expected_nats(targets, rounded, 0.1).astype("float32"))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"in \\[0, 1\\). Received: smoothing={smoothing}"):
        SmoothedCrossEntropy(smoothing)


def test_the_config_makes_the_same_loss_again(targets, logits):
    loss = SmoothedCrossEntropy(0.2, reduction="sum", name="cost")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, SmoothedCrossEntropy)
    assert (again.smoothing, again.reduction, again.name) == (0.2, "sum", "cost")
    assert float(again(targets, logits)) == float(loss(targets, logits))

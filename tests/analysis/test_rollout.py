"""Attention rollout is the product of what the layers mix."""

import numpy as np
import pytest

from attnzoo.analysis import attention_rollout

pytestmark = pytest.mark.backend_free


def weights(*shape, lengths=None):
    """Alignments with rows that sum to 1, and zeros over padding."""
    scores = np.exp(np.random.default_rng(0).normal(size=shape))
    if lengths is not None:
        real = np.arange(shape[-1]) < np.asarray(lengths)[:, None]  # [B, T]
        scores *= (real[:, :, None] & real[:, None, :])[:, None, None]
    return scores / np.maximum(scores.sum(axis=-1, keepdims=True), 1e-30)


def test_two_layers_by_hand():
    first = [[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]  # The mean is 1/2 everywhere.
    second = [[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    # A[1] = [[3/4, 1/4], [1/4, 3/4]] and A[2] = [[1/2, 1/2], [0, 1]].
    expected = [[0.5, 0.5], [0.25, 0.75]]
    np.testing.assert_allclose(attention_rollout([first, second]), expected, rtol=1e-15)
    # With nothing beside the attention, all comes from the second token's mixture.
    expected = [[0.5, 0.5], [0.5, 0.5]]
    np.testing.assert_allclose(attention_rollout([first, second], residual=0), expected)


def test_tokens_that_look_at_themselves_stay_themselves():
    alone = np.broadcast_to(np.eye(5), (3, 2, 5, 5))
    np.testing.assert_array_equal(attention_rollout(alone), np.eye(5))
    np.testing.assert_array_equal(attention_rollout(weights(3, 2, 5, 5), residual=1), np.eye(5))


@pytest.mark.parametrize("head_reduction", ["mean", "max", "min"])
def test_rows_sum_to_one_and_padding_stays_zero(head_reduction):
    padded = weights(2, 3, 7, 5, 5, lengths=[5, 3])
    found = attention_rollout(padded, head_reduction=head_reduction)
    assert found.shape == (2, 5, 5)
    np.testing.assert_allclose(found.sum(axis=-1), [[1] * 5, [1, 1, 1, 0, 0]], rtol=1e-12)
    assert (found[1, :, 3:] == 0).all()
    alone = attention_rollout(padded[1, ..., :3, :3], head_reduction=head_reduction)
    np.testing.assert_allclose(found[1, :3, :3], alone, rtol=1e-12)


def test_one_head_is_every_reduction_and_heads_have_no_order():
    one, many = weights(3, 1, 5, 5), weights(3, 2, 5, 5)
    for head_reduction in ("max", "min"):
        found = attention_rollout(one, head_reduction=head_reduction)
        np.testing.assert_allclose(found, attention_rollout(one), rtol=1e-12)
    np.testing.assert_allclose(attention_rollout(many[:, ::-1]), attention_rollout(many))


@pytest.mark.parametrize(
    ("alignments", "arguments", "message"),
    [
        (np.ones((3, 5, 5)), {}, r"of rank 4 or more.* Received: shape=\(3, 5, 5\)"),
        (np.ones((3, 2, 5, 7)), {}, r"those of self-attention.* shape=\(3, 2, 5, 7\)"),
        (np.ones((0, 2, 5, 5)), {}, r"shape=\(0, 2, 5, 5\)"),
        (-np.ones((3, 2, 5, 5)), {}, "at least 0. Received: a weight of -1.0"),
        (np.full((3, 2, 5, 5), np.nan), {}, "finite .* Received: a weight of nan"),
        (weights(3, 2, 5, 5), {"residual": 1.5}, r"in \[0, 1\]. Received: residual=1.5"),
        (weights(3, 2, 5, 5), {"head_reduction": "sum"}, "Received: head_reduction='sum'"),
    ],
)
def test_what_does_not_fit_is_refused(alignments, arguments, message):
    with pytest.raises(ValueError, match=message):
        attention_rollout(alignments, **arguments)

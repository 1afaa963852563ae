"""Normalizers: scores become alignments. The one place that masks and normalizes.

Scores are masked *first*, then normalized, in float32 at least. Dividing out the padding after a
softmax is not the same thing: with scores (-200, -201 | padding 0) the real places underflow.
"""

import keras
from keras import ops

# Finite, so that a row with nothing to attend to has no NaN in it or in its gradient.
_LOWEST = -1e30


def masked_softmax(scores, mask=None):
    """Softmax over the places of the last axis that may be attended to.

        alignments[s] = exp(scores[s]) / sum over s' in mask of exp(scores[s'])

    Args:
        scores: float [..., S]. Unbounded, in nats.
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S], dtype of `scores`. At least 0; exactly 0 where `mask` is False. A row sums
        to 1; one with nothing to attend to is all zeros.

    Example:
        >>> masked_softmax([[1.0, 1.0, 9.0]], mask=[[True, True, False]])
        [[0.5, 0.5, 0.0]]
    """
    scores = ops.convert_to_tensor(scores)
    if mask is None:
        return ops.cast(ops.softmax(_at_least_float32(scores), axis=-1), scores.dtype)
    mask = ops.convert_to_tensor(mask, dtype="bool")
    alignments = ops.softmax(ops.where(mask, _at_least_float32(scores), _LOWEST), axis=-1)
    # Where there is nothing to attend to, that softmax is uniform; the mask makes it zero.
    return ops.cast(ops.where(mask, alignments, 0.0), scores.dtype)


def hardmax(scores, mask=None):
    """All weight on the place of the last axis with the highest score; the first one on a tie.

    Args:
        scores: float [..., S].
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S], dtype of `scores`. One 1 a row; a row with nothing to attend to is zeros.

    Example:
        >>> hardmax([[1.0, 3.0, 9.0]], mask=[[True, True, False]])
        [[0.0, 1.0, 0.0]]
    """
    scores = ops.convert_to_tensor(scores)
    allowed = ops.convert_to_tensor(True if mask is None else mask, dtype="bool")
    masked = ops.where(allowed, _at_least_float32(scores), _LOWEST)
    highest = ops.equal(masked, ops.max(masked, axis=-1, keepdims=True))
    highest = ops.logical_and(highest, allowed)  # [..., S], several True on a tie
    nth = ops.cumsum(ops.cast(highest, "int32"), axis=-1)
    return ops.cast(ops.logical_and(highest, ops.equal(nth, 1)), scores.dtype)


def _at_least_float32(scores):
    wide = keras.backend.standardize_dtype(scores.dtype) in ("float32", "float64")
    return scores if wide else ops.cast(scores, "float32")

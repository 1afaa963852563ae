"""Normalizers: scores become alignments. The one place that masks and normalizes.

Scores are masked *first*, then normalized, in float32 at least. Dividing out the padding after a
softmax is not the same thing: with scores (-200, -201 | padding 0) the real places underflow.
"""

import keras
from keras import ops

from attnzoo.checks import check_choice

# Finite, so that a row with nothing to attend to has no NaN in it or in its gradient.
_LOWEST = -1e30
# Of alignments in float16: a gradient may have their inverse in it, which must be finite too.
SMALLEST_HALF = 2.0**-14


def masked_softmax(scores, mask=None):
    """Compute the softmax over the places of the last axis that may be attended to.

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


def masked_log_softmax(scores, mask=None):
    """Compute the logarithm of `masked_softmax`: no small weight becomes 0 on the way.

        log_alignments[s] = scores[s] - log of sum over s' in mask of exp(scores[s'])

    Args:
        scores: float [..., S]. Unbounded, in nats.
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S], float32 at least, in nats. At most 0; -1e30 where `mask` is False, finite so
        that 0 times it is 0.

    Example:
        >>> masked_log_softmax([[1.0, 1.0, 9.0]], mask=[[True, True, False]])
        [[-0.6931, -0.6931, -1e30]]
    """
    scores = _at_least_float32(ops.convert_to_tensor(scores))
    if mask is None:
        return ops.log_softmax(scores, axis=-1)
    mask = ops.convert_to_tensor(mask, dtype="bool")
    log_alignments = ops.log_softmax(ops.where(mask, scores, _LOWEST), axis=-1)
    return ops.where(mask, log_alignments, _LOWEST)


def sparsemax(scores, mask=None):
    """Compute the point of the simplex nearest to the scores: low ones get no weight.

        alignments[s] = max(scores[s] - threshold, 0), with the threshold where they sum to 1

    Exact: the threshold comes from a sort. The gradient of `scores` is

        upstream[s] - mean of upstream over the support    on the support, else 0

    Args:
        scores: float [..., S].
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S], dtype of `scores`. At least 0; exactly 0 where `mask` is False or a score is
        more than 1 below the highest. A row sums to 1; one with nothing to attend to is all zeros.

    Example:
        >>> sparsemax([[1.0, 0.5, -1.0]])
        [[0.75, 0.25, 0.0]]

    References:
        [Martins and Astudillo, 2016](https://arxiv.org/abs/1602.02068), algorithm 1, section 2.5.
    """

    def threshold(highest_first, count):
        # No set of places asks for more than the support does: the highest is the one.
        return ops.max((ops.cumsum(highest_first, axis=-1) - 1.0) / count, axis=-1, keepdims=True)

    def weight(rest):
        return rest, ops.cast(rest > 0.0, rest.dtype)

    return _sparse(scores, mask, 1.0, threshold, weight)


def entmax15(scores, mask=None):
    """Compute entmax with alpha = 1.5: between softmax and sparsemax, and sparse too.

        alignments[s] = max(scores[s] / 2 - threshold, 0)^2, with the threshold where they sum to 1

    Exact: the threshold comes from a sort. With r = sqrt(alignments) the gradient of `scores` is

        r[s] * (upstream[s] - sum of r * upstream / sum of r)

    Its own derivative is not: differentiate once only.

    Args:
        scores: float [..., S].
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S], dtype of `scores`. At least 0; exactly 0 where `mask` is False or a score is
        more than 2 below the highest. A row sums to 1; one with nothing to attend to is all zeros.

    Example:
        >>> entmax15([[1.0, 1.0, -1.0]])
        [[0.5, 0.5, 0.0]]

    References:
        [Peters et al., 2019](https://arxiv.org/abs/1905.05702), algorithm 2.
    """

    def threshold(highest_first, count):
        # With k places the threshold t solves: sum over the k highest of (scores / 2 - t)^2 = 1.
        mean = ops.cumsum(highest_first, axis=-1) / count
        variance = ops.cumsum(ops.square(highest_first), axis=-1) / count - ops.square(mean)
        found = mean - ops.sqrt(ops.maximum(1.0 / count - variance, 0.0))
        # It grows with k for as long as the k-th place is above it.
        found = ops.where(found <= highest_first, found, _LOWEST)
        return ops.max(found, axis=-1, keepdims=True)

    def weight(rest):
        return ops.square(rest), 2.0 * rest

    return _sparse(scores, mask, 0.5, threshold, weight)


def hardmax(scores, mask=None):
    """Put all weight on the place with the highest score; the first one on a tie.

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


# Normalizers by name.
NORMALIZERS = {"softmax": masked_softmax, "sparsemax": sparsemax, "entmax15": entmax15}


def get_normalizer(normalizer: str):
    """Return the function (scores, mask) -> alignments of a name.

    Args:
        normalizer: `"softmax"`, `"sparsemax"` or `"entmax15"`.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> attnzoo.ops.get_normalizer("sparsemax")(scores, mask).shape  # [B, T, S]
        (2, 3, 11)
    """
    check_choice(sorted(NORMALIZERS), normalizer=normalizer)
    return NORMALIZERS[normalizer]


def _sparse(scores, mask, factor: float, threshold, weight):
    """Return weight(max(factor * scores - t, 0)), with t so that a row sums to 1.

    Args:
        threshold: Function of the highest scores first [..., S], and 1, 2, ... S, to t [..., 1].
        weight: Function of r = max(factor * scores - t, 0) to its weights and their derivative.
    """
    scores = ops.convert_to_tensor(scores)
    allowed = ops.convert_to_tensor(True if mask is None else mask, dtype="bool")
    masked = ops.where(allowed, _at_least_float32(scores), _LOWEST)
    highest = ops.stop_gradient(ops.max(masked, axis=-1, keepdims=True))
    shifted = (masked - highest) * factor
    # No threshold is below -1: what lies deeper has no weight, and would only cost digits.
    fixed = ops.maximum(ops.stop_gradient(shifted), -1.0)
    count = ops.cumsum(ops.ones_like(fixed), axis=-1)
    guess = threshold(-ops.sort(-fixed, axis=-1), count)  # [..., 1]
    # One step of Newton's method. It takes away what the sums above rounded off, and it carries
    # the gradient: by the implicit function theorem that of t is the gradient of the step.
    weights, derivatives = weight(ops.relu(shifted - guess))
    slope = ops.stop_gradient(ops.sum(derivatives, axis=-1, keepdims=True))
    exact = guess + (ops.sum(weights, axis=-1, keepdims=True) - 1.0) / slope
    alignments, _ = weight(ops.relu(shifted - exact))
    return ops.cast(ops.where(allowed, alignments, 0.0), scores.dtype)


def _at_least_float32(scores):
    wide = keras.backend.standardize_dtype(scores.dtype) in ("float32", "float64")
    return scores if wide else ops.cast(scores, "float32")


def invertible(alignments):
    """Return alignments; in float16 those whose inverse may be infinite are zeros."""
    alignments = ops.convert_to_tensor(alignments)
    if keras.backend.standardize_dtype(alignments.dtype) != "float16":
        return alignments
    return ops.where(alignments >= SMALLEST_HALF, alignments, ops.zeros_like(alignments))

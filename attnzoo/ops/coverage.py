"""The loss on attending to the same place again."""

import keras
from keras import ops


def coverage_loss(alignments, mask=None):
    """Compute the share of weight that attention puts on places that it covered before.

        coverage[t, s] = sum over t' < t of alignments[t', s]
        loss           = mean over b, t of sum over s of min(alignments[t, s], coverage[t, s])

    Its gradient lowers the weight of a place that is covered, and where a weight is more than the
    coverage, the weights that covered it before. Places that no step attended to cost nothing.

    Args:
        alignments: float [B, T, S].
        mask: bool [B, T], or None. True = a real step; others do not count in the mean.

    Returns:
        float scalar, in [0, 1]; float32 for half precision. 0 where there is no real step.

    Raises:
        ValueError: If `alignments` is not of rank 3.

    Example:
        >>> attnzoo.ops.coverage_loss([[[1.0, 0.0], [0.75, 0.25]]])  # 0 for step 0, 0.75 for step 1
        0.375

    References:
        [See et al., 2017](https://arxiv.org/abs/1704.04368), equations 10 and 12.
    """
    alignments = ops.convert_to_tensor(alignments)
    if len(alignments.shape) != 3:
        raise ValueError(
            "`alignments` must have rank 3, [batch, steps, places]. "
            f"Received: alignments.shape={tuple(alignments.shape)}"
        )
    if keras.backend.standardize_dtype(alignments.dtype) != "float64":
        alignments = ops.cast(alignments, "float32")
    before = ops.pad(alignments[:, :-1], [[0, 0], [1, 0], [0, 0]])
    coverage = ops.cumsum(before, axis=1)  # [B, T, S]
    overlap = ops.sum(ops.minimum(alignments, coverage), axis=-1)  # [B, T]
    if mask is None:
        return ops.mean(overlap)
    real = ops.cast(mask, overlap.dtype)
    return ops.sum(overlap * real) / ops.maximum(ops.sum(real), 1.0)

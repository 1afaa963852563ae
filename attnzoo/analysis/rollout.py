"""Attention rollout: how much of each input token a Transformer's last layer still looks at."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max, "min": np.min}


def attention_rollout(
    alignments: ArrayLike, *, residual: float = 0.5, head_reduction: str = "mean"
):
    """Follow self-attention down through all layers, to the tokens that came in.

        W[l] = the heads' mean, its rows scaled to sum to 1
        A[l] = (1 - residual) W[l] + residual I       what a layer mixes, and what passes beside it
        rollout = A[L] A[L - 1] ... A[1]

    A layer's alignments are over the outputs of the layer below, which are mixtures already; the
    product is over tokens. It knows nothing of values, norms and feed-forward layers, so it says
    where information may have come from and not what it did.

    Differs from the paper: the weight of the residual connection is an argument.

    Args:
        alignments: float [..., L, N, T, T]. Alignments of L layers, the lowest first, with N heads;
            at least 0. A row of zeros is padding.
        residual: How much passes a layer by, beside its attention. In [0, 1].
        head_reduction: What heads become one by: `"mean"`, `"max"` or `"min"`.

    Returns:
        float64 [..., T, T], a NumPy array: row t says how much the last layer's token t has of each
        token. Rows sum to 1; those of padding are 0.

    Raises:
        ValueError: If the rank or the shape is wrong, a weight is negative or not finite,
            `residual` is out of range, or the reduction is unknown.

    Example:
        >>> rollout = attnzoo.analysis.attention_rollout(task.head_alignments(texts))
        >>> seen = task.pooling_alignments(texts) @ rollout  # [B, 1, S]: by the text's vector

    References:
        [Abnar and Zuidema, 2020](https://arxiv.org/abs/2005.00928), section 3, equation 1.
    """
    if not 0.0 <= residual <= 1.0:
        raise ValueError(f"`residual` must be in [0, 1]. Received: residual={residual}")
    if head_reduction not in REDUCTIONS:
        raise ValueError(
            f"`head_reduction` must be one of {tuple(REDUCTIONS)}. "
            f"Received: head_reduction={head_reduction!r}"
        )
    weights = np.asarray(alignments, dtype="float64")
    if weights.ndim < 4 or weights.shape[-1] != weights.shape[-2] or 0 in weights.shape[-4:]:
        raise ValueError(
            "`alignments` must be those of self-attention, of rank 4 or more, [..., L, N, T, T]. "
            f"Received: shape={weights.shape}"
        )
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if wrong.size:
        raise ValueError(
            f"`alignments` must be finite and at least 0. Received: a weight of {wrong[0]}"
        )
    weights = REDUCTIONS[head_reduction](weights, axis=-3)  # [..., L, T, T]
    total = weights.sum(axis=-1, keepdims=True)
    is_real = total > 0  # [..., L, T, 1]
    weights = weights / np.where(is_real, total, 1.0)
    mixed = (1.0 - residual) * weights + residual * np.eye(weights.shape[-1]) * is_real
    rollout = mixed[..., 0, :, :]
    for layer in range(1, mixed.shape[-3]):
        rollout = mixed[..., layer, :, :] @ rollout
    return rollout

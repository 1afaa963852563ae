"""Pooling of a text's vectors into one: their mean, the first vector, or attention."""

from keras import ops

from attnzoo.layers import AttentivePooling
from attnzoo.models.parts.policies import policy_for
from attnzoo.ops import weighted_sum

POOLINGS = ("mean", "first", "attention")


def make_pooling(pooling: str, backbone):
    """Return a function of memory float [B, S, D] and its mask bool [B, S] to float [B, D].

    With `return_alignments=True` the function also returns the weights of the rows, float
    [B, 1, S].

    Args:
        pooling: One of `POOLINGS`.
        backbone: The backbone whose output is the memory.

    Raises:
        ValueError: If the pooling is unknown.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: pooling={pooling!r}")
    if pooling == "mean":
        return mean
    if pooling == "first":
        return first
    return AttentivePooling(
        backbone.hidden_dim, name="pooling", dtype=policy_for(backbone.dtype_policy, "pooling")
    )


def mean(memory, mask, return_alignments: bool = False):
    """Return the mean of the real rows; zeros if there are none."""
    real = ops.cast(mask, "float32")[:, None, :]  # [B, 1, S]
    alignments = real / ops.maximum(ops.sum(real, axis=-1, keepdims=True), 1.0)
    pooled = weighted_sum(alignments, ops.cast(memory, "float32"))[:, 0]
    pooled = ops.cast(pooled, memory.dtype)
    return (pooled, alignments) if return_alignments else pooled


def first(memory, mask, return_alignments: bool = False):
    """Return the first row, for example that of a start token."""
    pooled = memory[:, 0]
    if not return_alignments:
        return pooled
    is_first = ops.arange(ops.shape(memory)[1]) == 0  # [S]
    alignments = ops.cast(ops.logical_and(is_first, mask), "float32")
    return pooled, alignments[:, None, :]  # [B, 1, S]


def pooling_weights(task, inputs: dict):
    """Return the weights float [B, H, S] of a text's vectors in the pooled vectors."""
    outputs = task.backbone(inputs)["sequence_output"]
    return task.pool(outputs, inputs["padding_mask"], return_alignments=True)[1]

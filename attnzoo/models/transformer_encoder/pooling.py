"""One vector of a text's many: their mean, the first of them, or what attention gathers."""

from keras import ops

from attnzoo.layers import AttentivePooling
from attnzoo.models.policies import policy_for

POOLINGS = ("mean", "first", "attention")


def make_pooling(pooling: str, backbone):
    """A function of memory float [B, S, D] and its mask bool [B, S] to float [B, D].

    Args:
        pooling: One of `POOLINGS`.
        backbone: What gives the memory.

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


def mean(memory, mask):
    """The mean of the real rows; zeros where there is none."""
    real = ops.cast(mask, "float32")[:, :, None]
    total = ops.sum(ops.cast(memory, "float32") * real, axis=1)
    return ops.cast(total / ops.maximum(ops.sum(real, axis=1), 1.0), memory.dtype)


def first(memory, mask):
    """The first row, which a start token may stand at."""
    return memory[:, 0]

"""One vector of a text's many: their mean, the first of them, or what attention gathers."""

from keras import ops

from attnzoo.layers import AttentivePooling
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.tasks.text import to_the_longest
from attnzoo.ops import weighted_sum

POOLINGS = ("mean", "first", "attention")


def make_pooling(pooling: str, backbone):
    """A function of memory float [B, S, D] and its mask bool [B, S] to float [B, D].

    With `return_alignments=True` the pair of it and the weights of the rows, float [B, 1, S].

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


def mean(memory, mask, return_alignments: bool = False):
    """The mean of the real rows; zeros where there is none."""
    real = ops.cast(mask, "float32")[:, None, :]  # [B, 1, S]
    alignments = real / ops.maximum(ops.sum(real, axis=-1, keepdims=True), 1.0)
    pooled = weighted_sum(alignments, ops.cast(memory, "float32"))[:, 0]
    pooled = ops.cast(pooled, memory.dtype)
    return (pooled, alignments) if return_alignments else pooled


def first(memory, mask, return_alignments: bool = False):
    """The first row, which a start token may stand at."""
    pooled = memory[:, 0]
    if not return_alignments:
        return pooled
    is_first = ops.arange(ops.shape(memory)[1]) == 0  # [S]
    alignments = ops.cast(ops.logical_and(is_first, mask), "float32")
    return pooled, alignments[:, None, :]  # [B, 1, S]


class PoolingMixin:
    """Where the pooling of a task looked, which keeps it as `pool`."""

    def look_at_pooling(self, inputs):
        """The weights float [B, 1, S] of a text's vectors in the one made of them: a dict."""
        mask = inputs["padding_mask"]
        outputs = self.backbone(inputs)["sequence_output"]
        return {"alignments": self.pool(outputs, mask, return_alignments=True)[1]}

    def pooling_alignments(self, texts, *, batch_size: int = 32):
        """How much of each token's vector is in the vector of the text.

        With `pooling="attention"` this is learned, as a recurrent classifier's `alignments` are;
        with `"mean"` it is the same for all tokens, and with `"first"` all is at the first.
        Times the rollout of `head_alignments` (see `attnzoo.analysis.attention_rollout`) it says
        how much of each token that came in.

        Args:
            texts: A string or strings; without a preprocessor, the backbone's inputs.
            batch_size: How many texts at a time. At least 1.

        Returns:
            float32 [B, 1, S], a NumPy array: rows sum to 1 over a text's tokens, with the special
            ones as `preprocessor.tokens(text)` names them. Padding is 0.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        texts = [texts] if isinstance(texts, (str, bytes)) else texts
        return to_the_longest(self.run(texts, batch_size, "look_at_pooling"))

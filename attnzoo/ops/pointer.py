"""Pointer-generator: the mixture of a token of the vocabulary and a copy of the source."""

import math

from keras import ops

from attnzoo.ops.linear import weighted_sum
from attnzoo.ops.normalizers import invertible

# No smaller weight is told from none: its inverse must be finite.
_SMALLEST = 1e-37
# The log of no probability, where it is added to another's.
_NEVER = -1e30


def copy_places(copy_token_ids, vocabulary_size: int):
    """Return the token that each place copies, one-hot over vocabulary and source.

        places[b, s, v] = 1 if copy_token_ids[b, s] = v else 0

    Args:
        copy_token_ids: int [B, S]. In [0, V + S): from V on are symbols of this source alone.
        vocabulary_size: V. At least 1.

    Returns:
        float32 [B, S, V + S].

    Example:
        >>> attnzoo.ops.copy_places(copy_token_ids, 43).shape  # B=2, S=11
        (2, 11, 54)
    """
    length = ops.shape(copy_token_ids)[1]
    ids = ops.arange(vocabulary_size + length, dtype="int32")
    same = ops.cast(copy_token_ids, "int32")[:, :, None] == ids
    return ops.cast(same, "float32")


def pointer_log_probs(logits, gate, alignments, places):
    """Compute log-probabilities of a step that generates a token or copies one.

        p_gen[b, t]   = sigmoid(gate[b, t])
        copy[b, t, v] = sum over s of alignments[b, t, s] places[b, s, v]
        p[b, t, v]    = p_gen[b, t] softmax(logits[b, t])[v] + (1 - p_gen[b, t]) copy[b, t, v]

    where the softmax is 0 for v >= V. Alignments that sum to less than 1 are scaled up to 1; where
    there is nothing to copy, p_gen is 1. In log space and float32. A token that can be neither
    generated nor copied gets log 1e-37 = -85.2 in place of log 0, with no gradient: a loss stays a
    number, in half precision too.

    Args:
        logits: float [B, T, V]. Of the vocabulary.
        gate: float [B, T]. Logit of the probability that a token of the vocabulary is generated.
        alignments: float [B, T, S]. Probabilities of the places; 0 over padding.
        places: float [B, S, V + S]. As `copy_places` gives them.

    Returns:
        float32 [B, T, V + S]. The log-probabilities of a step sum to 1.

    Example:
        >>> places = attnzoo.ops.copy_places(copy_token_ids, 43)
        >>> attnzoo.ops.pointer_log_probs(logits, gate, alignments, places).shape  # B=2, T=3, S=11
        (2, 3, 54)

    References:
        [See et al., 2017](https://arxiv.org/abs/1704.04368), section 2.2, equation 9.
    """
    logits, gate, alignments = (
        ops.cast(one, "float32") for one in (logits, gate[:, :, None], invertible(alignments))
    )
    alignments = ops.where(alignments > _SMALLEST, alignments, 0.0)
    total = ops.sum(alignments, axis=-1, keepdims=True)  # [B, T, 1]
    anywhere = total > 0.0
    copy = weighted_sum(alignments / ops.where(anywhere, total, 1.0), places)  # [B, T, V + S]
    some = copy > _SMALLEST
    copied = ops.log(ops.where(some, copy, 1.0)) + ops.log_sigmoid(-gate)

    generated = logits - ops.logsumexp(logits, axis=-1, keepdims=True)  # [B, T, V]
    generated = generated + ops.where(anywhere, ops.log_sigmoid(gate), 0.0)
    never = ops.full_like(alignments, _NEVER)  # [B, T, S]
    generated = ops.concatenate([generated, never], axis=-1)  # [B, T, V + S]
    mixed = ops.where(some, _log_add(generated, copied), generated)
    return ops.where(mixed <= _NEVER, math.log(_SMALLEST), mixed)


def _log_add(one, other):
    """Return log(exp(one) + exp(other)), with the right gradient where both are equal."""
    high = ops.stop_gradient(ops.maximum(one, other))
    return high + ops.log(ops.exp(one - high) + ops.exp(other - high))

"""One step of a linear-chain conditional random field: forward, backward, best path.

    log p(tags | text) = score(tags) - log sum over tags' of exp(score(tags'))
    score(tags)        = start[tag_1] + sum over t of emissions[t, tag_t]
                         + sum over t > 1 of transitions[tag_(t-1), tag_t] + end[tag_last]

A place without a tag is passed over: the message before it is the message after it. All is float32.
"""

from keras import ops


def sum_over_tags(message, transitions, axis: int = 1):
    """Compute the log of the sum over the tags of a neighbour, float [B, C].

        axis 1: out[j] = log sum over i of exp(message[i] + transitions[i, j])   (of the one before)
        axis 2: out[i] = log sum over j of exp(transitions[i, j] + message[j])   (of the one after)

    Args:
        message: float [B, C]. In nats.
        transitions: float [C, C]. From row to column.
        axis: 1 or 2, as above.

    Example:
        >>> sum_over_tags([[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
        [[0.6931, 0.6931]]
    """
    message = message[:, :, None] if axis == 1 else message[:, None, :]
    return ops.logsumexp(message + transitions[None], axis=axis)


def best_over_tags(message, transitions):
    """Compute the best score over the tags before, and the tag that has it, both [B, C].

        out[j] = max over i of message[i] + transitions[i, j]

    Of equal tags the first is taken. The tag is int32.

    Args:
        message: float [B, C].
        transitions: float [C, C]. From row to column.
    """
    scores = message[:, :, None] + transitions[None]  # [B, C, C]
    return ops.max(scores, axis=1), first_best(scores, axis=1)


def first_best(scores, axis: int):
    """Return the place of the largest value along an axis, the first of equal ones, int32."""
    count = scores.shape[axis]
    shape = [1] * len(scores.shape)
    shape[axis] = count
    places = ops.reshape(ops.arange(count, dtype="int32"), shape)
    is_best = scores >= ops.max(scores, axis=axis, keepdims=True)
    return ops.min(ops.where(is_best, places, count), axis=axis)


def path_score(emissions, tags, mask, transitions, start, end):
    """Compute the score of given tags, float [B].

    Args:
        emissions: float [B, S, C].
        tags: int [B, S]. In [0, C), also where there is none.
        mask: bool [B, S]. True = a place with a tag.
        transitions: float [C, C]. From row to column.
        start, end: float [C]. Of the first and of the last tag.

    Returns:
        float [B], in nats. 0 without any tag.
    """
    dtype, length = emissions.dtype, ops.shape(mask)[1]
    real = ops.cast(mask, dtype)  # [B, S]
    chosen = ops.cast(ops.one_hot(tags, emissions.shape[-1]), dtype) * real[:, :, None]
    # The tags without the places between them: the n-th tag at place n.
    numbers = ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1  # [B, S]
    moves = ops.cast(numbers[:, :, None] == ops.arange(length, dtype=numbers.dtype), dtype)
    ordered = ops.einsum("bsn,bsc->bnc", moves, chosen)  # [B, S, C]
    steps = ops.einsum("bnc,cd,bnd->b", ordered[:, :-1], transitions, ordered[:, 1:])
    following = ops.pad(ops.sum(ordered, axis=-1)[:, 1:], ((0, 0), (0, 1)))  # [B, S]
    last = ops.sum(ordered * (1.0 - following)[:, :, None], axis=1)  # [B, C]
    ends = ops.sum(ordered[:, 0] * start + last * end, axis=-1)
    return ops.sum(emissions * chosen, axis=(1, 2)) + steps + ends

"""The forward algorithm over places of the memory, which are the states of a Markov chain.

    prior[t](s)     = sum over s' of moves[t](s | s') posterior[t - 1](s')
    posterior[t](s) = prior[t](s) p(target[t] | s) / sum over s' of the same

Moves never go back. All is float32 at least; nothing is multiplied up over the steps, so that any
number of them is safe.
"""

import keras
from keras import ops

from attnzoo.ops.monotonic import arrivals
from attnzoo.ops.normalizers import SMALLEST_HALF, masked_softmax

# No smaller probability is told from none: sums of its inverse must be finite.
_SMALLEST = 1e-30


def free_moves(alignments, mask=None):
    """Compute moves to any place at or after the one before, from alignments.

        moves(s | s') = alignments[s] / sum over s'' >= s' of alignments[s'']    for s >= s'

    Going on place by place is the same, with the probabilities to stop at a place, once it is
    reached, and to pass it:

        stop[s] = alignments[s] / sum over s'' >= s of alignments[s'']
        pass[s] = 1 - stop[s]

    They need 2 S numbers and not S^2. Where nothing from s' on has any weight, moves stay at s'.

    Args:
        alignments: float [..., S]. At least 0. No smaller one than 1e-30 is told from 0; in float16
            none than 2^-14.
        mask: bool, broadcastable to `alignments`, or None. True = a real place.

    Returns:
        float [..., S, 2], for `move_freely`: to stop, to pass.

    Example:
        >>> free_moves([[0.5, 0.25, 0.25]])
        [[[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]]

    References:
        [Wu and Cotterell, 2019](https://arxiv.org/abs/1905.06319), 0th order, monotonic.
    """
    alignments, smallest = _real(alignments, mask)
    later = ops.flip(ops.cumsum(ops.flip(_ahead(alignments, 1)[..., 1], -1), axis=-1), -1)
    some, more = alignments > smallest, later > smallest
    # By their odds, so that both keep their digits.
    odds = ops.log(ops.where(some, alignments, 1.0)) - ops.log(ops.where(more, later, 1.0))
    stop = ops.where(more, ops.where(some, ops.sigmoid(odds), 0.0), 1.0)
    go_on = ops.where(more, ops.where(some, ops.sigmoid(-odds), 1.0), 0.0)
    return ops.stack([stop, go_on], axis=-1)


def jump_moves(alignments, jumps, mask=None):
    """Compute moves of at most J - 1 places, from alignments and jumps.

        moves(s | s') proportional to alignments[s] exp(jumps[s', s - s'])    for 0 <= s - s' < J

    Where no place within reach of s' has any weight, moves stay at s'.

    Args:
        alignments: float [..., S]. As in `free_moves`.
        jumps: float, broadcastable to [..., S, J]. In nats: for each place, the scores of moving 0,
            1, ... J - 1 places on from it. J is at least 1.
        mask: bool, broadcastable to `alignments`, or None. True = a real place.

    Returns:
        float [..., S, J], for `move_by_jumps`: entry s, j is moves(s | s - j), 0 where s < j.

    Example:
        >>> jump_moves([[0.4, 0.2, 0.2]], [[[0.0, 0.0]]])
        [[[0.6667, 0.0], [0.5, 0.3333], [1.0, 0.5]]]

    References:
        [Wu and Cotterell, 2019](https://arxiv.org/abs/1905.06319), 1st order, monotonic.
    """
    alignments, smallest = _real(alignments, mask)
    jumps = ops.cast(jumps, alignments.dtype)
    reach = jumps.shape[-1] - 1
    some = alignments > smallest
    log_alignments = ops.log(ops.where(some, alignments, 1.0))
    allowed = _ahead(ops.cast(some, "int32"), reach) > 0  # [..., S, J]
    stays = ops.logical_and(
        ops.arange(reach + 1) == 0, ops.logical_not(ops.any(allowed, axis=-1, keepdims=True))
    )
    leaving = masked_softmax(
        _ahead(log_alignments, reach) + jumps, ops.logical_or(allowed, stays)
    )  # [..., S, J], entry s', j is moves(s' + j | s')
    return ops.stack([_moved_on(leaving[..., j], j) for j in range(reach + 1)], axis=-1)


def move_freely(places, moves):
    """Take one step by the moves of `free_moves`.

    Args:
        places: float [..., S]. Probability of each place before.
        moves: float [..., S, 2].

    Returns:
        float [..., S]. Probability of each place now; it sums to what `places` sums to.

    Example:
        >>> move_freely([[1.0, 0.0, 0.0]], free_moves([[0.5, 0.25, 0.25]]))
        [[0.5, 0.25, 0.25]]
    """
    return moves[..., 0] * arrivals(moves[..., 1], places)


def move_by_jumps(places, moves):
    """Take one step by the moves of `jump_moves`.

    Args:
        places: float [..., S]. Probability of each place before.
        moves: float [..., S, J].

    Returns:
        float [..., S]. Probability of each place now; it sums to what `places` sums to.

    Example:
        >>> move_by_jumps([[0.0, 1.0, 0.0]], jump_moves([[0.4, 0.2, 0.2]], [[[0.0, 0.0]]]))
        [[0.0, 0.5, 0.5]]
    """
    return ops.sum(moves * _behind(places, moves.shape[-1] - 1), axis=-1)


def observe(places, log_probs):
    """Compute the posterior of the place of a step, given its target.

        posterior[s] = places[s] exp(log_probs[s]) / sum over s' of the same

    Args:
        places: float [..., S]. Probability of each place. No smaller one than 1e-30 is told from 0.
        log_probs: float [..., S]. Log-probability of the target at each place.

    Returns:
        float [..., S]. Sums to 1; zeros where `places` has none.

    Example:
        >>> observe([[0.5, 0.5, 0.0]], [[-1.0, -1.0, 9.0]])
        [[0.5, 0.5, 0.0]]
    """
    some = places > _SMALLEST
    return masked_softmax(ops.log(ops.where(some, places, 1.0)) + log_probs, some)


def _real(alignments, mask):
    """Return alignments in float32 at least, 0 at padding, and the smallest told from 0."""
    alignments = ops.convert_to_tensor(alignments)
    half = keras.backend.standardize_dtype(alignments.dtype) == "float16"
    alignments = ops.cast(alignments, keras.backend.result_type(alignments.dtype, "float32"))
    if mask is not None:
        alignments = ops.where(ops.convert_to_tensor(mask, dtype="bool"), alignments, 0.0)
    return alignments, SMALLEST_HALF if half else _SMALLEST


def _ahead(tensor, reach):
    """Return the entries 0, 1, ... `reach` places further on: [..., S, reach + 1]."""
    padded = ops.pad(tensor, _last_axis(tensor, 0, reach))
    return ops.stack([padded[..., j : j - reach or None] for j in range(reach + 1)], axis=-1)


def _behind(tensor, reach):
    """Return the entries 0, 1, ... `reach` places before: [..., S, reach + 1]."""
    padded = ops.pad(tensor, _last_axis(tensor, reach, 0))
    return ops.stack([padded[..., reach - j : -j or None] for j in range(reach + 1)], axis=-1)


def _moved_on(tensor, distance):
    return ops.pad(tensor, _last_axis(tensor, distance, 0))[..., : -distance or None]


def _last_axis(tensor, before, after):
    return [[0, 0]] * (len(tensor.shape) - 1) + [[before, after]]

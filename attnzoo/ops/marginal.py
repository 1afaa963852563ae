"""Log-probabilities summed over places, and those of one target at each place.

In blocks: it never holds [B, T, S, U] or [B, T, S, V] at once.
"""

import math

import keras
from keras import ops

from attnzoo.ops.blocks import (
    block_sizes,
    cut_blocks,
    cut_examples,
    join_blocks,
    join_examples,
    scan_blocks,
)
from attnzoo.ops.linear import linear
from attnzoo.ops.normalizers import invertible
from attnzoo.ops.sizes import fits_whole

# Elements of one block [b, t, S, U + V] in float32.
_BLOCK_ELEMENTS = 2**20
# Up to this many elements [B, T, S, U + V] plain autodiff is at least as fast as blocks.
_WHOLE_ELEMENTS = 2**22
# The log of no probability: finite, so that nothing and its gradient are no NaN.
_LOWEST = -1e30
# No smaller probability is told from none: its inverse must be finite.
_SMALLEST = 1e-37


def marginal_log_probs(query, key, alignments, kernel, bias, kept=None):
    """Compute log-probabilities of the targets of a step, summed over its places.

        readout[b, t, s]  = kept[b, t] * tanh(query[b, t] + key[b, s])
        log p[b, t, s, v] = log_softmax over v of (kernel readout[b, t, s] + bias)
        log p[b, t, v]    = logsumexp over s of (log alignments[b, t, s] + log p[b, t, s, v])

    A place with no weight adds exactly nothing, to value and gradients. Where no place has any, all
    v are equally probable. Written out, this needs [B, T, S, U] and [B, T, S, V] floats several
    times. Past a size it goes through B and T in blocks and keeps nothing of a block: the backward
    pass computes it again. The numbers are the same. All is float32 at least.

    There is a first derivative only: past that size the gradient cannot be differentiated again.

    Args:
        query: float [B, T, U].
        key: float [B, S, U].
        alignments: float [B, T, S]. Probabilities of the places.
        kernel: float [U, V].
        bias: float [V].
        kept: float [B, T, U], or None. Factors of dropout for each feature, 0 for those that it
            drops, at all places of a step alike. No gradient goes to it.

    Returns:
        float [B, T, V], float32 (float64 if the query is). The log-probabilities of a step sum to 1
        if its alignments do.

    Example:
        >>> attnzoo.ops.marginal_log_probs(query, key, alignments, kernel, bias).shape  # B=2, T=3
        (2, 3, 43)

    References:
        [Wu et al., 2018](https://arxiv.org/abs/1808.10024), section 3, equation 5.
    """
    alignments = invertible(alignments)
    return _in_one_or_in_blocks(_marginal, query, key, alignments, kernel, bias, kept)


def target_log_probs(query, key, targets, kernel, bias, kept=None):
    """Compute the log-probability of one given target at each place.

        readout[b, t, s]  = kept[b, t] * tanh(query[b, t] + key[b, s])
        log p[b, t, s, v] = log_softmax over v of (kernel readout[b, t, s] + bias)

    of which it gives v = targets[b, t]. In blocks, as `marginal_log_probs`; there is a first
    derivative only.

    Args:
        query: float [B, T, U].
        key: float [B, S, U].
        targets: int [B, T]. In [0, V).
        kernel: float [U, V].
        bias: float [V].
        kept: float [B, T, U], or None. As in `marginal_log_probs`.

    Returns:
        float [B, T, S], float32 (float64 if the query is). At most 0, in nats.

    Example:
        >>> attnzoo.ops.target_log_probs(query, key, targets, kernel, bias).shape  # B=2, T=3, S=11
        (2, 3, 11)
    """
    # As floats they go through the blocks as anything else does; up to 2^24 these are exact.
    targets = ops.expand_dims(ops.cast(targets, "float32"), -1)  # [B, T, 1]
    return _in_one_or_in_blocks(_of_targets, query, key, targets, kernel, bias, kept)


def _in_one_or_in_blocks(compute, query, key, operand, kernel, bias, kept):
    wide = "float64" if keras.backend.standardize_dtype(query.dtype) == "float64" else "float32"
    tensors = [query, key, operand, kernel, bias] + ([] if kept is None else [kept])
    tensors = [ops.cast(tensor, wide) for tensor in tensors]
    if kept is not None:
        tensors[-1] = ops.stop_gradient(tensors[-1])
    sizes = (query.shape[0], query.shape[1], key.shape[1], sum(kernel.shape))
    small = fits_whole(sizes, _WHOLE_ELEMENTS)
    return (compute.whole if small else compute.in_blocks)(*tensors)


def _at_each_place(query, key, kernel, bias, kept):
    """Return tanh(...) and the same after dropout [b, t, S, U], and logits [b, t, S, V]."""
    hidden = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(key, 1))
    readout = hidden if kept is None else hidden * ops.expand_dims(kept, 2)
    return hidden, readout, linear(readout, kernel, bias)


def _gradients_below(shares, hidden, readout, kernel, kept):
    """Return gradients of query, key, kernel and bias for that of the logits."""
    rows = ops.reshape(shares, (-1, kernel.shape[-1]))  # [b t S, V]
    readouts = ops.reshape(readout, (-1, kernel.shape[0]))  # [b t S, U]
    gradients = linear(shares, ops.transpose(kernel))  # [b, t, S, U]
    gradients = gradients if kept is None else gradients * ops.expand_dims(kept, 2)
    gradients = gradients * (1.0 - hidden * hidden)
    kernel_gradient = ops.matmul(ops.transpose(readouts), rows)
    return (
        ops.sum(gradients, axis=2),
        ops.sum(gradients, axis=1),
        kernel_gradient,
        ops.sum(rows, axis=0),
    )


# === Summed over the places ===


def _marginals(query, key, alignments, kernel, bias, kept=None):
    _, _, logits = _at_each_place(query, key, kernel, bias, kept)
    joint = _joint(logits, alignments)  # [B, T, S, V]
    # Where there is no place to look at, that is as good as nothing known.
    anywhere = ops.max(alignments, axis=-1, keepdims=True) > _SMALLEST  # [B, T, 1]
    return ops.where(anywhere, ops.logsumexp(joint, axis=2), -math.log(kernel.shape[-1]))


def _joint(logits, alignments):
    """Return log of alignments[b, t, s] p[b, t, s, v]: [b, t, S, V]."""
    some = alignments > _SMALLEST
    weights = ops.where(some, ops.log(ops.where(some, alignments, 1.0)), _LOWEST)
    totals = ops.logsumexp(logits, axis=-1)  # [b, t, S]
    return logits + ops.expand_dims(weights - totals, -1)


def _marginal_gradients(query, key, alignments, kernel, bias, kept=None, *, upstream):
    """Return gradients of one block: of query, alignments, key, kernel and bias.

    With g the upstream gradient, and the posterior r[s, v] of the places once v is seen,

        r[s, v]     = alignments[s] p[s, v] / p[v]
        alignments: sum over v of g[v] r[s, v] / alignments[s]
        logits:     g[v] r[s, v] - p[s, v] * sum over v' of g[v'] r[s, v']

    and on from the logits as ever.
    """
    hidden, readout, logits = _at_each_place(query, key, kernel, bias, kept)
    joint = _joint(logits, alignments)  # [b, t, S, V]
    some = alignments > _SMALLEST  # [b, t, S]
    upstream = ops.where(ops.any(some, axis=-1, keepdims=True), upstream, 0.0)  # [b, t, V]
    shares = ops.exp(joint - ops.logsumexp(joint, axis=2, keepdims=True))  # The posterior.
    shares = shares * ops.expand_dims(upstream, 2)  # [b, t, S, V]
    of_places = ops.sum(shares, axis=-1)  # [b, t, S]
    alignments_gradient = ops.where(some, of_places / ops.where(some, alignments, 1.0), 0.0)
    shares = shares - ops.softmax(logits, axis=-1) * ops.expand_dims(of_places, -1)
    query_gradient, *more = _gradients_below(shares, hidden, readout, kernel, kept)
    return query_gradient, alignments_gradient, *more


# === Of one target ===


def _target_log_probs(query, key, targets, kernel, bias, kept=None):
    _, _, logits = _at_each_place(query, key, kernel, bias, kept)
    chosen = ops.sum(logits * _one_hot(targets, kernel), axis=-1)
    return chosen - ops.logsumexp(logits, axis=-1)  # [B, T, S]


def _one_hot(targets, kernel):
    """Return indices [b, t, 1] as one-hot rows [b, t, 1, V]."""
    # On torch Keras's `one_hot` reads the largest value, which no traced step can do.
    tokens = ops.arange(kernel.shape[-1], dtype="int32")
    return ops.cast(ops.cast(targets, "int32")[..., None] == tokens, kernel.dtype)


def _target_gradients(query, key, targets, kernel, bias, kept=None, *, upstream):
    """Return gradients of one block, as `_marginal_gradients`, but none of the targets."""
    hidden, readout, logits = _at_each_place(query, key, kernel, bias, kept)
    shares = _one_hot(targets, kernel) - ops.softmax(logits, axis=-1)
    shares = shares * ops.expand_dims(upstream, -1)  # [b, t, S, V]
    query_gradient, *more = _gradients_below(shares, hidden, readout, kernel, kept)
    return query_gradient, ops.zeros_like(targets), *more


# === Either, in blocks ===


class _Computation:
    """A function of (query, key, operand, kernel, bias, kept), in one or in blocks.

    Args:
        whole: The function, to [B, T, W].
        gradients: Function of the same and the upstream gradient [B, T, W], to the gradients of
            query, `operand` [B, T, ...], key, kernel and bias.
        width: Function of key and kernel to W.
    """

    def __init__(self, whole, gradients, width):
        self.whole = whole
        self.gradients = gradients
        self.width = width

        @ops.custom_gradient
        def in_blocks(*tensors):
            def gradient(*args, upstream=None):
                # torch gives the arguments again and the upstream by name; the others it alone.
                upstream = args[0] if upstream is None else upstream
                return self._gradients_in_blocks(*tensors, upstream=upstream)

            return self._outputs_in_blocks(*tensors), gradient

        self.in_blocks = in_blocks

    def _outputs_in_blocks(self, query, key, operand, kernel, bias, kept=None):
        examples, steps = _block_sizes(query, key, kernel)

        def example(_, elements):
            key, *by_steps = elements

            def block(_, elements):
                query, operand, *kept = elements
                return (), (self.whole(query, key, operand, kernel, bias, *kept),)  # [b, t, W]

            return scan_blocks(block, (), tuple(by_steps))  # [T / t, b, t, W]

        by_steps = (query, operand) if kept is None else (query, operand, kept)
        by_steps = tuple(cut_blocks(one, examples, steps) for one in by_steps)
        _, (outputs,) = scan_blocks(example, (), (cut_examples(key, examples), *by_steps))
        batch, query_length, _ = ops.shape(query)
        return join_blocks(outputs, (batch, query_length, self.width(key, kernel)), examples, steps)

    def _gradients_in_blocks(self, query, key, operand, kernel, bias, kept=None, *, upstream):
        examples, steps = _block_sizes(query, key, kernel)

        def example(sums, elements):
            key, *by_steps = elements

            def block(sums, elements):
                query, operand, upstream, *kept = elements
                tensors = query, key, operand, kernel, bias, *kept
                query_gradient, operand_gradient, *more = self.gradients(
                    *tensors, upstream=upstream
                )
                sums = tuple(one + other for one, other in zip(sums, more, strict=True))
                return sums, (query_gradient, operand_gradient)

            sums = ops.zeros_like(key), *sums
            steps = tuple(by_steps)
            (key_gradient, *sums), of_steps = scan_blocks(block, sums, steps, num_outputs=2)
            return tuple(sums), (*of_steps, key_gradient)

        whole = [query, operand, upstream] + ([] if kept is None else [kept])
        by_steps = (cut_blocks(one, examples, steps) for one in whole)
        sums, (query_gradient, operand_gradient, key_gradient) = scan_blocks(
            example,
            (ops.zeros_like(kernel), ops.zeros_like(bias)),
            (cut_examples(key, examples), *by_steps),
            num_outputs=3,
        )
        gradients = (
            join_blocks(query_gradient, ops.shape(query), examples, steps),
            join_examples(key_gradient, ops.shape(key), examples),
            join_blocks(operand_gradient, ops.shape(operand), examples, steps),
            *sums,
        )
        return gradients if kept is None else (*gradients, ops.zeros_like(kept))


def _block_sizes(query, key, kernel):
    """Return the examples b and the query steps t of a block."""
    batch, query_length, _ = ops.shape(query)
    row = ops.shape(key)[1] * sum(kernel.shape)
    return block_sizes(batch, query_length, row, _BLOCK_ELEMENTS)


_marginal = _Computation(_marginals, _marginal_gradients, lambda key, kernel: kernel.shape[-1])
_of_targets = _Computation(
    _target_log_probs, _target_gradients, lambda key, kernel: ops.shape(key)[1]
)

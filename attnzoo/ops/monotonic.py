"""Monotonic alignments: each step goes on from the place of the one before, never back."""

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive
from attnzoo.ops.normalizers import masked_softmax
from attnzoo.ops.sizes import known_size

MODES = ("parallel", "recursive", "hard")


def choose_probabilities(scores, mask=None):
    """Compute the probability that a place is chosen once it is reached.

        choose[s] = sigmoid(scores[s])    where `mask` is True, else 0

    Args:
        scores: float [..., S]. Unbounded, in nats: log-odds of choosing.
        mask: bool, broadcastable to `scores`, or None. True = may attend.

    Returns:
        float [..., S] in [0, 1], float32 at least, as long products of it follow. Exactly 0 where
        `mask` is False.

    Example:
        >>> choose_probabilities([[0.0, 0.0, 9.0]], mask=[[True, True, False]])
        [[0.5, 0.5, 0.0]]

    References:
        [Raffel et al., 2017](https://arxiv.org/abs/1704.00784), equations 3 and 4.
    """
    scores = _widened(ops.convert_to_tensor(scores))
    if mask is None:
        return ops.sigmoid(scores)
    return ops.where(ops.convert_to_tensor(mask, dtype="bool"), ops.sigmoid(scores), 0.0)


def monotonic_alignments(choose, previous, mode: str = "parallel"):
    """Take one step of monotonic attention: from the places before to the places now.

    The step looks at place after place, from the previous one on, and chooses each with its
    probability. The expectation is, for `"parallel"` and `"recursive"`,

        arrivals[s]   = (1 - choose[s - 1]) arrivals[s - 1] + previous[s]
        alignments[s] = choose[s] arrivals[s]

    the former by doubling distances, in log2(S) rounds; the latter place by place. `"hard"` is the
    limit of certain choices: the first place at or after the previous one with `choose` > 0.5.

    Nothing is divided and no factor is above 1, so that any length is safe. The gradient of
    `arrivals` is one such recurrence again, from the last place to the first; `"hard"` has none.
    There is a first derivative only.

    Differs from the paper: it divides by a cumulative product (equation 11), which underflows with
    the length and has to be clipped; the terms here are the same, without the division.

    Args:
        choose: float [..., S] in [0, 1]. 0 at padding.
        previous: float [..., S]. Alignments of the step before; before the first one, all on place
            0. For `"hard"` one place has 1, or none.
        mode: `"parallel"`, `"recursive"` or `"hard"`.

    Returns:
        float [..., S], dtype of `previous`. At least 0; 0 where `choose` is 0. A row sums to what
        `previous` sums to, less the probability that nothing is chosen up to the end. In `"hard"`
        mode it is one-hot, or zeros for nothing.

    Raises:
        ValueError: If `mode` is unknown.

    Example:
        >>> monotonic_alignments([[0.5, 0.5, 0.5]], [[1.0, 0.0, 0.0]])
        [[0.5, 0.25, 0.125]]

    References:
        [Raffel et al., 2017](https://arxiv.org/abs/1704.00784), equations 8 to 10, appendix C.
    """
    check_choice(MODES, mode=mode)
    if any(isinstance(tensor, keras.KerasTensor) for tensor in (choose, previous)):
        return _MonotonicAlignments(mode=mode).symbolic_call(choose, previous)
    choose, previous = ops.convert_to_tensor(choose), ops.convert_to_tensor(previous)
    dtype = previous.dtype
    choose, previous = _widened(choose), _widened(previous)
    if mode == "hard":
        return ops.cast(_first_chosen(choose, previous), dtype)
    return ops.cast(choose * _ARRIVALS[mode](1.0 - choose, previous), dtype)


def all_monotonic_alignments(choose, mode: str = "parallel"):
    """Compute monotonic alignments of T steps, the first of which starts at place 0.

    As it loops over T by `keras.ops.scan`, it cannot be differentiated in TensorFlow with
    `jit_compile=True`; `MonotonicAttention` can.

    Args:
        choose: float [B, T, S] in [0, 1]. 0 at padding.
        mode: As in `monotonic_alignments`.

    Returns:
        float [B, T, S], dtype of `choose`.

    Raises:
        ValueError: If `mode` is unknown.

    Example:
        >>> all_monotonic_alignments([[[0.5, 0.5], [0.5, 0.5]]])
        [[[0.5, 0.25], [0.25, 0.25]]]
    """
    choose = ops.convert_to_tensor(choose)

    def step(previous, choose):
        alignments = monotonic_alignments(choose, previous, mode)
        return alignments, alignments

    start = first_place(choose[:, 0])
    _, alignments = ops.scan(step, start, ops.transpose(choose, (1, 0, 2)))
    return ops.transpose(alignments, (1, 0, 2))


def arrivals(passing, previous):
    """Compute the expected arrivals at each place of a walk from place to place.

        arrivals[s] = passing[s - 1] arrivals[s - 1] + previous[s]

    By doubling distances, with its own gradient; float32 at least. It takes what passes a place,
    not what is chosen there: 1 less a number near 1 has few digits.

    Args:
        passing: float [..., S] in [0, 1].
        previous: float [..., S]. At least 0.

    Returns:
        float [..., S].
    """
    return _ARRIVALS["parallel"](_widened(passing), _widened(previous))


def first_place(like):
    """Return the start of the first step: all weight on place 0, shaped as `like`."""
    return ops.zeros_like(like) + ops.cast(ops.arange(ops.shape(like)[-1]) == 0, like.dtype)


def chunkwise_alignments(alignments, chunk_scores, window: int, mask=None):
    """Spread the weight of each place over the window that ends there.

        alignments'[s] = sum over k = s .. s + window - 1 of
            alignments[k] exp(chunk_scores[s]) / sum over l = k - window + 1 .. k of
                exp(chunk_scores[l])

    Each window has a softmax of its own, so that no window underflows beside a higher one. For
    alignments that are one-hot this is the softmax over the window that ends at the chosen place.

    Args:
        alignments: float [..., S]. Monotonic alignments, 0 at padding.
        chunk_scores: float [..., S]. In nats.
        window: Width of the windows, in places. At least 1; 1 changes nothing.
        mask: bool, broadcastable to `alignments`, or None. True = may attend.

    Returns:
        float [..., S], dtype of `alignments`. At least 0; exactly 0 where `mask` is False. A row
        sums to what it summed to before.

    Raises:
        ValueError: If `window` < 1.

    Example:
        >>> chunkwise_alignments([[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]], window=2)
        [[0.0, 0.5, 0.5]]

    References:
        [Chiu and Raffel, 2018](https://arxiv.org/abs/1712.05382), equations 9 to 16.
    """
    check_positive(window=window)
    alignments, chunk_scores = (
        ops.convert_to_tensor(tensor) for tensor in (alignments, chunk_scores)
    )
    if window == 1:
        return alignments
    allowed = ops.ones_like(chunk_scores, dtype="int32")
    if mask is not None:
        allowed = allowed * ops.cast(mask, "int32")
    scores = _windows(_widened(chunk_scores), window)  # [..., S, window]
    weights = masked_softmax(scores, _windows(allowed, window) > 0)
    parts = ops.expand_dims(_widened(alignments), -1) * weights
    # Entry i of the window that ends at k is place k - (window - 1) + i.
    total = parts[..., window - 1]
    for distance in range(1, window):
        total = total + _shifted_left(parts[..., window - 1 - distance], distance)
    return ops.cast(total, alignments.dtype)


@keras.saving.register_keras_serializable(package="attnzoo")
class _MonotonicAlignments(keras.Operation):
    """`monotonic_alignments` as a node of a functional model."""

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, choose, previous):
        return monotonic_alignments(choose, previous, self.mode)

    def compute_output_spec(self, choose, previous):
        return keras.KerasTensor(previous.shape, dtype=previous.dtype)


# === y[s] = factors[s] y[s - 1] + inputs[s], in two ways ===


def _by_doubling(factors, inputs):
    """Join runs of 1, 2, 4, ... places: two make one, with the product of their factors."""

    def joined(factors, inputs, shift):
        return factors * shift(factors), factors * shift(inputs) + inputs

    size = known_size(inputs.shape[-1])
    if size is not None:
        distance = 1
        while distance < size:
            factors, inputs = joined(factors, inputs, lambda x: _shifted_right(x, distance))  # noqa: B023
            distance *= 2
        return inputs
    size = ops.shape(inputs)[-1]
    places = ops.arange(size, dtype="int32")

    def body(distance, factors, inputs):
        def shift(tensor):
            moved = ops.take(tensor, ops.maximum(places - distance, 0), axis=-1)
            return ops.where(places >= distance, moved, 0.0)

        return 2 * distance, *joined(factors, inputs, shift)

    start = ops.ones((), dtype="int32"), factors, inputs
    return ops.while_loop(lambda distance, *_: distance < size, body, start)[2]


def _place_by_place(factors, inputs):
    def step(before, both):
        now = both[0] * before + both[1]
        return now, now

    # One tensor: on TensorFlow `ops.scan` takes two only where it knows their length.
    both = ops.stack([factors, inputs])  # [2, ..., S]
    last = len(both.shape) - 1
    both = ops.transpose(both, (last, *range(last)))  # [S, 2, ...]
    _, results = ops.scan(step, ops.zeros_like(inputs[..., 0]), both)
    return ops.transpose(results, (*range(1, last), 0))


def _arrivals(solve):
    """arrivals[s] = passing[s - 1] arrivals[s - 1] + previous[s], with its gradient.

    With g the upstream gradient,

        previous:  back[s] = passing[s] back[s + 1] + g[s]
        passing:   back[s + 1] arrivals[s]
    """

    @ops.custom_gradient
    def arrivals(passing, previous):
        result = solve(_shifted_right(passing, 1), previous)

        def gradient(*args, upstream=None):
            # torch gives the arguments again and the upstream by name; the others give it alone.
            upstream = args[0] if upstream is None else upstream
            back = ops.flip(solve(ops.flip(passing, -1), ops.flip(upstream, -1)), -1)
            return _shifted_left(back, 1) * result, back

        return result, gradient

    return arrivals


_ARRIVALS = {"parallel": _arrivals(_by_doubling), "recursive": _arrivals(_place_by_place)}


def _first_chosen(choose, previous):
    reached = ops.cumsum(previous, axis=-1) > 0.5
    candidates = ops.logical_and(choose > 0.5, reached)
    nth = ops.cumsum(ops.cast(candidates, "int32"), axis=-1)
    return ops.cast(ops.logical_and(candidates, ops.equal(nth, 1)), choose.dtype)


# === Small things ===


def _windows(tensor, window):
    """Return the windows that end at each place, [..., S, window], zeros before the first."""
    ahead = window - 1
    padded = ops.pad(tensor, _last_axis(tensor, ahead, 0))
    return ops.stack([padded[..., i : i - ahead or None] for i in range(window)], axis=-1)


def _shifted_right(tensor, distance):
    return ops.pad(tensor, _last_axis(tensor, distance, 0))[..., :-distance]


def _shifted_left(tensor, distance):
    return ops.pad(tensor, _last_axis(tensor, 0, distance))[..., distance:]


def _last_axis(tensor, before, after):
    return [[0, 0]] * (len(tensor.shape) - 1) + [[before, after]]


def _widened(tensor):
    return ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))

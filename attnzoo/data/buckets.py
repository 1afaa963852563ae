"""Batch shapes for pairs of many lengths: few shapes with little padding."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

# Lengths that `find_buckets` tries as bounds, on each axis.
MAX_CANDIDATES = 40


def find_buckets(
    source_lengths: ArrayLike, target_lengths: ArrayLike, *, num_buckets: int
) -> list[tuple[int, int]]:
    """Find the shapes (S, T) that hold all pairs with the fewest cells.

    The shapes form a chain: each is at least as large on both axes as the one before, and a pair
    goes to the first shape that holds it. With n(S, T) the number of pairs that fit in (S, T), the
    chain
    (S1, T1), ..., (Sk, Tk) has

        cells = sum_k [n(Sk, Tk) - n(Sk-1, Tk-1)] (Sk + Tk)

    and dynamic programming over k finds the best chain. If an axis has more than 40 different
    lengths, 40 quantiles are used in their place.

    Args:
        source_lengths: int [pairs]. In tokens.
        target_lengths: int [pairs]. In tokens.
        num_buckets: Largest number of shapes. At least 1.

    Returns:
        At most `num_buckets` shapes, the smallest first; fewer if more would not save a cell.
    """
    source_lengths, target_lengths = np.asarray(source_lengths), np.asarray(target_lengths)
    source_bounds, target_bounds = _candidates(source_lengths), _candidates(target_lengths)
    # histogram[i, j]: pairs whose smallest bounds are source_bounds[i] and target_bounds[j].
    histogram = np.zeros((len(source_bounds), len(target_bounds)), "int64")
    places = (
        np.searchsorted(source_bounds, source_lengths),
        np.searchsorted(target_bounds, target_lengths),
    )
    np.add.at(histogram, places, 1)
    counts = histogram.cumsum(axis=0).cumsum(axis=1).ravel()
    shapes = np.array(list(itertools.product(source_bounds, target_bounds)))
    sizes = shapes.sum(axis=1)
    holds = (shapes[:, None, :] <= shapes[None, :, :]).all(axis=-1)
    # added[i, j]: cells of the pairs that fit in shape j and not in shape i, in shape j.
    added = np.where(holds, (counts[None, :] - counts[:, None]) * sizes[None, :], np.inf)
    best, previous = counts * sizes, []
    for _ in range(num_buckets - 1):
        totals = best[:, None] + added
        choice = totals.argmin(axis=0)
        total = totals[choice, np.arange(len(shapes))]
        if total[-1] >= best[-1]:
            break
        best = total
        previous.append(choice)
    last = len(shapes) - 1
    chain = [last]
    for choice in reversed(previous):
        last = choice[last]
        chain.append(last)
    return [(int(source), int(target)) for source, target in shapes[chain[::-1]]]


def _candidates(lengths):
    """Return the different lengths in order; if too many, quantiles with the largest length."""
    if len(np.unique(lengths)) > MAX_CANDIDATES:
        quantiles = np.linspace(0, 1, MAX_CANDIDATES)
        lengths = np.quantile(lengths, quantiles, method="higher")
    return np.unique(lengths)

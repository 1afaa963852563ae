"""Stochastic depth: in training a block leaves out its branch for some examples."""

import keras
from keras import ops


def drop_branches(added, rate: float, seed_generator: keras.random.SeedGenerator):
    """Drop a branch's output for some examples, and scale the others to keep the mean.

    Args:
        added: float [B, ...]. What the branch adds to the residual stream.
        rate: Probability of dropping an example. In [0, 1).
        seed_generator: The generator to draw from.

    Returns:
        float [B, ...], dtype of `added`.

    References:
        [Huang et al., 2016](https://arxiv.org/abs/1603.09382).
    """
    shape = (ops.shape(added)[0], *[1] * (len(added.shape) - 1))
    drawn = keras.random.uniform(shape, dtype="float32", seed=seed_generator)
    kept = ops.cast(drawn >= rate, added.dtype)
    return added * (kept / (1.0 - rate))

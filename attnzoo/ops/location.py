"""Alignments as features of each place."""

from keras import ops

from attnzoo.ops.linear import linear


def location_features(alignments, kernel):
    """Convolve alignments along the memory.

        features[b, t, s, n] = sum over j of kernel[j, n] alignments[b, t, s + j - (J - 1) / 2]

    with zeros outside the memory. Each place's window is copied out and multiplied with the kernel:
    in a compiled loop that is up to three times faster than a convolution of one channel.

    Args:
        alignments: float [B, T, S].
        kernel: float [J, N]. N filters, each J places wide; J is odd.

    Returns:
        float [B, T, S, N].

    Raises:
        ValueError: If J is even.

    Example:
        >>> attnzoo.ops.location_features(keras.ops.ones((2, 3, 11)), keras.ops.ones((5, 7))).shape
        (2, 3, 11, 7)

    References:
        [Chorowski et al., 2015](https://arxiv.org/abs/1506.07503), equation 8.
    """
    width = kernel.shape[0]
    if width % 2 == 0:
        raise ValueError(
            "`kernel` must be an odd number of places wide, so that one is its middle. "
            f"Received: kernel.shape={tuple(kernel.shape)}"
        )
    batch, steps, places = ops.shape(alignments)
    rows = ops.reshape(alignments, (-1, places))  # [B T, S]
    rows = ops.pad(rows, [[0, 0], [width // 2, width // 2]])
    windows = ops.stack([rows[:, j : j + places] for j in range(width)], axis=-1)  # [B T, S, J]
    return ops.reshape(linear(windows, kernel), (batch, steps, places, kernel.shape[1]))

"""Sizes of images: reflected edges, bicubic enlargement, pixels out of channels."""

import numpy as np
from keras import ops


def pad_to_multiple(images, size: int):
    """Extend images at the bottom and the right, by reflection, to multiples of `size`.

    The edge itself is not repeated. An image smaller than its padding is reflected again and again.

    Args:
        images: [B, H, W, C]. H and W are at least 1.
        size: In pixels.

    Returns:
        [B, H', W', C], dtype of `images`; H' and W' are H and W rounded up.
    """
    for axis in (1, 2):
        length = images.shape[axis]
        if isinstance(length, int) and length % size == 0:
            continue
        length = ops.shape(images)[axis]
        padded = -(-length // size) * size
        images = ops.take(images, _reflected(ops.arange(padded, dtype="int32"), length), axis=axis)
    return images


def _reflected(places, length):
    """Return the places in 0..length - 1 that reflection at both ends maps places >= 0 to."""
    period = ops.maximum(2 * (length - 1), 1)
    places = places % period
    return ops.minimum(ops.minimum(places, period - places), length - 1)


def pixel_shuffle(features, scale: int):
    """Spread channels over pixels: [B, H, W, scale ** 2 C] to [B, H scale, W scale, C].

        output[b, h scale + i, w scale + j, c] = features[b, h, w, (i scale + j) C + c]

    The order of torch's `PixelShuffle` is c scale ** 2 + i scale + j.

    References:
        [Shi et al., 2016](https://arxiv.org/abs/1609.05158), equation 4.
    """
    _, height, width, channels = ops.shape(features)
    channels = channels // scale**2
    pixels = ops.reshape(features, (-1, height, width, scale, scale, channels))
    pixels = ops.transpose(pixels, (0, 1, 3, 2, 4, 5))
    return ops.reshape(pixels, (-1, height * scale, width * scale, channels))


def bicubic_enlarge(images, scale: int):
    """Enlarge images by bicubic interpolation with a = -0.5, as Pillow does before it rounds.

    At the edges the weights of pixels inside the image are normalized to 1.

    Args:
        images: float [B, H, W, C].
        scale: Factor of both sizes. At least 1.

    Returns:
        float [B, H scale, W scale, C], dtype of `images`.

    References:
        [Keys, 1981](https://doi.org/10.1109/TASSP.1981.1163711), equation 15.
    """
    weights = _phase_weights(scale)
    for axis in (1, 2):
        images = _enlarge_axis(images, weights, axis)
    return images


def _enlarge_axis(images, weights, axis):
    shape = list(ops.shape(images))
    length, scale = shape[axis], weights.shape[1]
    ones = ops.ones((1, length, 1, 1) if axis == 1 else (1, 1, length, 1), dtype=images.dtype)
    enlarged = [_interpolate(one, weights, axis) for one in (images, ones)]
    enlarged = enlarged[0] / enlarged[1]
    shape[axis] = length * scale
    return ops.reshape(enlarged, (-1, *shape[1:]))


def _interpolate(images, weights, axis):
    """Return the `scale` values of each place, on a new axis after `axis`."""
    length, reach = ops.shape(images)[axis], len(weights) // 2
    padded = ops.pad(images, [[reach * (axis == one)] * 2 for one in range(4)])
    pixels = ops.arange(length, dtype="int32")
    phases = []
    for phase in range(weights.shape[1]):
        total = 0.0
        for tap in np.flatnonzero(weights[:, phase]):
            shifted = ops.take(padded, pixels + int(tap), axis=axis)
            total = total + float(weights[tap, phase]) * shifted
        phases.append(total)
    return ops.stack(phases, axis=axis + 1)


def _phase_weights(scale):
    """Return the weight of the pixels -2..2 for each of `scale` values: float64 [5, scale]."""
    offsets = (np.arange(scale) + 0.5) / scale - 0.5  # From the pixel's centre.
    distances = np.abs(np.arange(-2, 3)[:, None] - offsets)
    near = (1.5 * distances - 2.5) * distances**2 + 1.0
    far = ((-0.5 * distances + 2.5) * distances - 4.0) * distances + 2.0
    return np.where(distances <= 1.0, near, np.where(distances < 2.0, far, 0.0))

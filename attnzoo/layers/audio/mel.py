"""Mel filters, computed in float64 where a layer is built."""

import numpy as np


def to_mel(frequency):
    """Return a frequency in Hz as mel (O'Shaughnessy, 1987; as in HTK)."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency, "float64") / 700.0)


def mel_filters(
    num_bands: int, fft_length: int, sampling_rate: int, lowest: float, highest: float
) -> np.ndarray:
    """Return triangular filters, equally wide in mel, each 1 at its centre.

        filter[k, m] = max(0, min(rise of m, fall of m))    at the mel of k sampling_rate / L

    Args:
        num_bands: M.
        fft_length: L, the number of samples of a transform.
        sampling_rate: In Hz.
        lowest, highest: Where the first filter begins and the last one ends, in Hz.

    Returns:
        float64 [L // 2 + 1, M].
    """
    edges = np.linspace(to_mel(lowest), to_mel(highest), num_bands + 2)
    bins = to_mel(np.arange(fft_length // 2 + 1) * sampling_rate / fft_length)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0.0, np.minimum(rise, fall))


def fourier_kernel(frame_length: int, fft_length: int) -> np.ndarray:
    """Return windowed cosines and sines as a convolution's kernel.

        kernel[n, 0, k] = hann[n] cos(2 pi k n / L),    kernel[n, 0, K + k] = hann[n] sin(...)

    Args:
        frame_length: The number of samples of a frame, at most L. The window is periodic.
        fft_length: L.

    Returns:
        float64 [frame_length, 1, 2 K], K = L // 2 + 1.
    """
    samples = np.arange(frame_length)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * samples / frame_length)
    angles = 2.0 * np.pi * np.outer(samples, np.arange(fft_length // 2 + 1)) / fft_length
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return (window[:, None] * waves)[:, None]

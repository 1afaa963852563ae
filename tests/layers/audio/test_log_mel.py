"""Log-mel features against float64, and each clip for itself."""

import numpy as np
import pytest

from attnzoo.layers import LogMelSpectrogram
from attnzoo.layers.audio.mel import mel_filters
from tests import tools

RATE, LENGTH, STEP, MELS = 8000, 40, 17, 7
SMALL = {"num_mels": MELS, "frame_length": LENGTH, "frame_step": STEP}


def make_audio(*lengths):
    """Clips with noise and a tone, and their mask; the padding is noise too."""
    size = max(lengths)
    times = np.arange(size) / RATE
    tones = [0.3 * np.sin(2 * np.pi * 500 * (n + 1) * times) for n in range(len(lengths))]
    audio = (np.array(tones) + 0.01 * tools.normal(len(lengths), size)).astype("float32")
    return audio, tools.lengths_mask(lengths, size)


def reference(audio, *, deltas=0, normalization="standard", pre_emphasis=0.97, fft=64):
    """One clip, float64, by the definition."""
    audio = audio.astype("float64")
    audio = audio - pre_emphasis * np.concatenate([[0.0], audio[:-1]])
    frames = [audio[start : start + LENGTH] for start in range(0, len(audio), STEP)]
    window = np.hanning(LENGTH + 1)[:-1]
    frames = [window * np.pad(frame, (0, LENGTH - len(frame))) for frame in frames]
    power = np.abs(np.fft.rfft(frames, fft)) ** 2
    found = [np.log(np.maximum(power @ mel_filters(MELS, fft, RATE, 20.0, RATE / 2), 1e-10))]
    for _ in range(deltas):
        last = len(found[-1]) - 1
        at = [np.clip(np.arange(last + 1) + n, 0, last) for n in (-2, -1, 1, 2)]
        two_before, before, after, two_after = (found[-1][places] for places in at)
        found.append((after - before + 2 * (two_after - two_before)) / 10)
    found = np.concatenate(found, axis=1)
    if normalization != "none":
        found = found - found.mean(axis=0)
    return found / np.maximum(found.std(axis=0), 1e-3) if normalization == "standard" else found


@pytest.mark.parametrize(
    "arguments",
    [
        {"normalization": "none"},
        {"normalization": "mean", "deltas": 1, "pre_emphasis": 0.0},
        {"normalization": "standard", "deltas": 2},
    ],
    ids=str,
)
def test_they_are_those_of_each_clip_alone(arguments):
    lengths = (LENGTH * 7 + 3, LENGTH * 3, LENGTH // 2)
    audio, mask = make_audio(*lengths)
    layer = LogMelSpectrogram(RATE, **SMALL, **arguments)
    found = tools.to_numpy(layer(audio, padding_mask=mask))
    frames = tools.to_numpy(layer.frame_mask(mask))
    assert found.shape == (3, -(-lengths[0] // STEP), MELS * (1 + arguments.get("deltas", 0)))
    assert frames.sum(axis=1).tolist() == [-(-length // STEP) for length in lengths]
    for clip, length, features, real in zip(audio, lengths, found, frames, strict=True):
        expected = reference(clip[:length], **arguments)
        np.testing.assert_allclose(features[real], expected, atol=2e-3)
        assert not features[~real].any()
    alone = tools.to_numpy(layer(audio[1:2, : lengths[1]]))[0]
    np.testing.assert_allclose(found[1][frames[1]], alone, atol=2e-4)


def test_filters_rise_and_fall_between_their_neighbours():
    filters = mel_filters(5, 512, 16000, 100.0, 8000.0)
    assert filters.shape == (257, 5) and filters.min() == 0.0 and filters.max() <= 1.0
    centres = filters.argmax(axis=0)
    assert (np.diff(centres) > 0).all()
    inner = filters[centres[0] : centres[-1]]
    np.testing.assert_allclose(inner.sum(axis=1), 1.0, atol=1e-9)  # Neighbours share a bin.
    assert not filters[: 100 * 512 // 16000 + 1].any()


def test_silence_is_finite_and_half_precision_keeps_the_samples():
    layer = LogMelSpectrogram(RATE, **SMALL)
    silence = np.zeros((2, 200), "float32")
    mask = np.zeros((2, 200), "bool")
    assert np.abs(tools.to_numpy(layer(silence))).max() < 0.01
    assert not tools.to_numpy(layer(silence, padding_mask=mask)).any()
    audio, _ = make_audio(200)
    half = LogMelSpectrogram(RATE, **SMALL, dtype="mixed_bfloat16")
    np.testing.assert_allclose(
        tools.to_numpy(half(audio)), tools.to_numpy(layer(audio)), atol=0.02, rtol=0.01
    )


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"frame_step": 0}, "`frame_step` must be a whole number, at least 1. Received: .*=0"),
        ({"pre_emphasis": 1.0}, r"`pre_emphasis` must be in \[0, 1\). Received: .*=1.0"),
        ({"deltas": 3}, r"`deltas` must be one of .* Received: deltas=3"),
        ({"normalization": "max"}, "`normalization` must be one of .* Received: .*='max'"),
        ({"fft_length": 39}, "`fft_length` must be at least 40. Received: fft_length=39"),
        ({"highest": 5000.0}, "half the sampling rate, 4000 Hz. Received: .* highest=5000.0"),
        ({"lowest": 4000.0}, "rising order.* Received: lowest=4000.0"),
        ({"floor": 0.0}, "`floor` must be above 0. Received: floor=0.0"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LogMelSpectrogram(RATE, **{**SMALL, **arguments})

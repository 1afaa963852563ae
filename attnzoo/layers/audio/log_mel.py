"""Log-mel features of samples, each clip for itself."""

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_choice, check_mask, check_positive, check_rate
from attnzoo.layers.audio.mel import fourier_kernel, mel_filters

_DELTA_FRAMES = 2  # Frames to each side that a derivative is taken over.
_SMALLEST_DEVIATION = 1e-3  # In nats; what varies less is rounding.
_NORMALIZATIONS = ("none", "mean", "standard")


@keras.saving.register_keras_serializable(package="attnzoo")
class LogMelSpectrogram(keras.layers.Layer):
    """Log-mel features of speech.

        emphasized[n] = audio[n] - pre_emphasis * audio[n - 1]
        power[f, k]   = |sum over n of hann[n] emphasized[step f + n] exp(-2 pi i k n / L)| ** 2
        mel[f, m]     = log(max(sum over k of power[f, k] filter[k, m], floor))

    A frame begins every `frame_step` samples, as long as the clip lasts; what reaches beyond its
    end is silence. So S samples give ceil(S / frame_step) frames, and the padding of a batch
    changes nothing.

    With `deltas` the first derivatives, or the first and second, follow as further features:

        delta[f] = sum over n = 1, 2 of n (mel[f + n] - mel[f - n]) / 10

    where the first and the last frame of a clip stand for those beyond it.

    Then each feature is normalized over the frames of its own clip: to mean 0 (`"mean"`), or to
    mean 0 and standard deviation 1 (`"standard"`), unless it varies by less than 0.001.

    The Fourier transform is a convolution with windowed cosines and sines, so that the layer
    computes the same on every backend and in every export. It computes in float32, whatever its
    policy.

    Differs from `keras.layers.MelSpectrogram`: its decibels are counted from the loudest value of
    the whole batch, and it has no padding mask.

    Args:
        sampling_rate: Samples a second. At least 1.
        num_mels: M, mel bands. At least 1.
        frame_length: Samples in a frame. At least 1.
        frame_step: Samples from one frame to the next. At least 1.
        fft_length: L, samples of a Fourier transform; None is the next power of two from
            `frame_length` on. At least `frame_length`.
        lowest: Frequency at which the first band begins, in Hz. At least 0.
        highest: Frequency at which the last band ends, in Hz; None is half the sampling rate, which
            is the most it may be.
        pre_emphasis: In [0, 1).
        floor: Smallest power in a band. Above 0.
        deltas: 0, 1 or 2 derivatives.
        normalization: `"none"`, `"mean"` or `"standard"`.

    Call arguments:
        audio: float [B, S]. Samples, in [-1, 1].
        padding_mask: bool [B, S], or None. True = a real sample; padding comes last.

    Returns:
        float [B, F, (1 + deltas) M], F = ceil(S / frame_step). In nats unless normalized;
        frames of padding are 0.

    Raises:
        ValueError: If a number is outside its range, or `normalization` is unknown.

    Example:
        >>> layer = attnzoo.layers.LogMelSpectrogram(16000, num_mels=80)
        >>> layer(audio, padding_mask=mask).shape  # B=2, S=16000
        (2, 100, 80)
        >>> layer.frame_mask(mask).shape
        (2, 100)

    References:
        [Davis and Mermelstein, 1980](https://doi.org/10.1109/TASSP.1980.1163420).
        [Furui, 1986](https://doi.org/10.1109/TASSP.1986.1164788) (derivatives).
    """

    def __init__(
        self,
        sampling_rate: int = 16000,
        *,
        num_mels: int = 80,
        frame_length: int = 400,
        frame_step: int = 160,
        fft_length: int | None = None,
        lowest: float = 20.0,
        highest: float | None = None,
        pre_emphasis: float = 0.97,
        floor: float = 1e-10,
        deltas: int = 0,
        normalization: str = "standard",
        **kwargs,
    ):
        kwargs["autocast"] = False  # Samples have more bits than half precision keeps.
        super().__init__(**kwargs)
        check_positive(
            sampling_rate=sampling_rate,
            num_mels=num_mels,
            frame_length=frame_length,
            frame_step=frame_step,
        )
        check_rate(pre_emphasis=pre_emphasis)
        check_choice((0, 1, 2), deltas=deltas)
        check_choice(_NORMALIZATIONS, normalization=normalization)
        if fft_length is not None:
            check_at_least(frame_length, fft_length=fft_length)
        top = sampling_rate / 2
        if not 0.0 <= lowest < (top if highest is None else highest) <= top:
            raise ValueError(
                "`lowest` and `highest` must be in rising order, from 0 to half the sampling rate, "
                f"{top:g} Hz. Received: lowest={lowest}, highest={highest}"
            )
        if not floor > 0.0:
            raise ValueError(f"`floor` must be above 0. Received: floor={floor}")
        self.sampling_rate = sampling_rate
        self.num_mels = num_mels
        self.frame_length = frame_length
        self.frame_step = frame_step
        self.fft_length = fft_length
        self.lowest = lowest
        self.highest = highest
        self.pre_emphasis = pre_emphasis
        self.floor = floor
        self.deltas = deltas
        self.normalization = normalization
        length = fft_length or 2 ** (frame_length - 1).bit_length()
        self._kernel = fourier_kernel(frame_length, length).astype("float32")
        self._filters = mel_filters(
            num_mels, length, sampling_rate, lowest, top if highest is None else highest
        ).astype("float32")

    def build(self, audio_shape):
        self.built = True

    def call(self, audio, padding_mask=None):
        audio = ops.cast(audio, "float32")
        mask = None
        if padding_mask is not None:
            check_mask("padding_mask", padding_mask, (2,), "is real")
            mask = self.frame_mask(padding_mask)  # [B, F]
        features = self.log_mel(self.emphasize(audio, padding_mask))
        for order in range(self.deltas):
            own = features if order == 0 else features[..., -self.num_mels :]
            features = ops.concatenate([features, self._differentiate(own, mask)], axis=-1)
        features = self._normalize(features, mask)
        if mask is not None:
            features = ops.where(mask[:, :, None], features, 0.0)
        return ops.cast(features, self.compute_dtype)

    def emphasize(self, audio, padding_mask=None):
        """Return samples float32 [B, S] with high frequencies emphasized, 0 at padding."""
        before = ops.pad(audio, ((0, 0), (1, 0)))[:, :-1]
        emphasized = audio - self.pre_emphasis * before
        return emphasized if padding_mask is None else ops.where(padding_mask, emphasized, 0.0)

    def log_mel(self, audio):
        """Return the log-mel bands float32 [B, F, M] of emphasized samples float32 [B, S]."""
        audio = ops.pad(audio, ((0, 0), (0, self.frame_length - 1)))
        kernel = ops.convert_to_tensor(self._kernel)
        waves = ops.conv(
            audio[:, :, None],
            kernel,
            strides=self.frame_step,
            padding="valid",
            data_format="channels_last",
        )  # [B, F, 2 K]
        real, imaginary = ops.split(ops.square(waves), 2, axis=-1)
        bands = ops.matmul(real + imaginary, ops.convert_to_tensor(self._filters))
        return ops.log(ops.maximum(bands, self.floor))

    def frame_mask(self, padding_mask):
        """Return the mask of the frames bool [B, F]: a frame is real if it begins in the clip."""
        return padding_mask[:, :: self.frame_step]

    def _differentiate(self, features, mask):
        """Return the derivatives float32 [B, F, M], over the real frames of each clip."""
        length = ops.shape(features)[1]
        places = ops.arange(length, dtype="int32")[None, :]  # [1, F]
        last = length - 1
        if mask is not None:
            last = ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True) - 1, 0)
        delta = 0.0
        for n in range(1, _DELTA_FRAMES + 1):
            after = self._frames_at(features, ops.minimum(places + n, last))
            before = self._frames_at(features, ops.maximum(places - n, 0))
            delta = delta + n * (after - before)
        return delta / (2.0 * sum(n * n for n in range(1, _DELTA_FRAMES + 1)))

    def _frames_at(self, features, places):
        """Return the frames at places int [B, F] or [1, F], the same for all clips."""
        if places.shape[0] == 1:
            return ops.take(features, places[0], axis=1)
        return ops.take_along_axis(features, places[:, :, None], axis=1)

    def _normalize(self, features, mask):
        if self.normalization == "none":
            return features
        weights = ops.ones_like(features[:, :, :1])
        if mask is not None:
            weights = ops.cast(mask, "float32")[:, :, None]  # [B, F, 1]
        count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        features = features - ops.sum(weights * features, axis=1, keepdims=True) / count
        if self.normalization == "mean":
            return features
        variance = ops.sum(weights * ops.square(features), axis=1, keepdims=True) / count
        return features / ops.maximum(ops.sqrt(variance), _SMALLEST_DEVIATION)

    def compute_output_shape(self, audio_shape, padding_mask_shape=None):
        batch, length = audio_shape
        frames = None if length is None else -(-length // self.frame_step)
        return batch, frames, (1 + self.deltas) * self.num_mels

    def get_config(self):
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "sampling_rate": self.sampling_rate,
            "num_mels": self.num_mels,
            "frame_length": self.frame_length,
            "frame_step": self.frame_step,
            "fft_length": self.fft_length,
            "lowest": self.lowest,
            "highest": self.highest,
            "pre_emphasis": self.pre_emphasis,
            "floor": self.floor,
            "deltas": self.deltas,
            "normalization": self.normalization,
        }

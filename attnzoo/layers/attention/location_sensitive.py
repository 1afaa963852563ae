"""Location-sensitive attention: its scores depend on the alignments of the step before."""

import keras
from keras import ops

from attnzoo.checks import check_above
from attnzoo.layers.attention.history import HistoryAttention
from attnzoo.layers.scores.location_sensitive import LocationSensitiveScore


@keras.saving.register_keras_serializable(package="attnzoo")
class LocationSensitiveAttention(HistoryAttention):
    """Location-sensitive ("hybrid") attention of Chorowski et al.

        features[t]   = F * alignments[t-1]        (a convolution along the memory)
        scores[t, s]  = v · tanh(W query[t] + U memory[s] + L features[t, s] + b)
        alignments[t] = softmax over s of sharpening * scores[t, s]

    With `smoothing` the softmax's exponential becomes a sigmoid, which lets several places share
    the weight:

        alignments[t, s] = sigmoid(sharpening * scores[t, s]) / sum over s' of the same

    With `cumulative` the convolution sees the sum of all alignments before step t, and no longer
    those of step t-1 by themselves: the attention of Tacotron 2. Some of its implementations show
    the filters both, side by side; the paper and this class show the sum alone.

    Differs from the paper: before the first step the alignments are zeros.

    Args:
        units: Width of the hidden layer of the score, in features. At least 1.
        filters: Number of filters of the convolution. At least 1.
        kernel_size: Width of a filter, in places. At least 1, odd. As Tacotron 2 has it; the paper
            has 10 filters of 201 places, for speech in frames of 10 ms.
        sharpening: Inverse temperature of the scores. Above 0; above 1 it sharpens.
        smoothing: Whether the sigmoid takes the place of the exponential.
        cumulative: Whether the convolution sees the sum of the alignments before.
        normalize: Whether v is weight-normalized; see `AdditiveScore`.
        normalizer: As in `SoftAttention`; without `smoothing`.

    Call arguments and returns: as in `Attention`; Dv = Dm. There is no `attention_mask`.

    Raises:
        ValueError: If a size is below 1, `kernel_size` is even, `sharpening` is not positive, the
            normalizer is unknown, or `smoothing` comes with another one than the softmax.

    Example:
        >>> attention = attnzoo.layers.LocationSensitiveAttention(units=7, kernel_size=5)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5
        ((2, 3, 5), (2, 3, 11))

    References:
        [Chorowski et al., 2015](https://arxiv.org/abs/1506.07503), sections 2.2 and 2.3.
        [Shen et al., 2018](https://arxiv.org/abs/1712.05884), section 2.2 (Tacotron 2).
    """

    def __init__(
        self,
        units: int,
        *,
        filters: int = 32,
        kernel_size: int = 31,
        sharpening: float = 1.0,
        smoothing: bool = False,
        cumulative: bool = False,
        normalize: bool = False,
        normalizer: str = "softmax",
        **kwargs,
    ):
        score = LocationSensitiveScore(
            units,
            filters=filters,
            kernel_size=kernel_size,
            normalize=normalize,
            name="score",
            dtype=kwargs.get("dtype"),
        )
        super().__init__(score, normalizer=normalizer, **kwargs)
        check_above(0, sharpening=sharpening)
        if smoothing and normalizer != "softmax":
            raise ValueError(
                "`smoothing` changes the softmax, and goes with no other normalizer. "
                f"Received: smoothing={smoothing}, normalizer={normalizer!r}"
            )
        self.units = units
        self.filters = filters
        self.kernel_size = kernel_size
        self.sharpening = sharpening
        self.smoothing = smoothing
        self.cumulative = cumulative
        self.normalize = normalize

    def align(self, scores, mask):
        if self.sharpening != 1.0:
            scores = scores * self.sharpening
        if self.smoothing:
            # Normalized sigmoids are the softmax of their logarithms, which do not underflow.
            scores = ops.log_sigmoid(scores)
        return super().align(scores, mask)

    def remember(self, history, alignments):
        return history + alignments if self.cumulative else alignments

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "sharpening": self.sharpening,
            "smoothing": self.smoothing,
            "cumulative": self.cumulative,
            "normalize": self.normalize,
        }

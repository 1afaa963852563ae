"""Location-sensitive score."""

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.scores.history import HistoryScore
from attnzoo.ops import linear, location_features


@keras.saving.register_keras_serializable(package="attnzoo")
class LocationSensitiveScore(HistoryScore):
    """Location-sensitive score of Chorowski et al.: additive, with the last alignments.

        features[b, t]  = F * history[b, t]        (a convolution along the memory)
        scores[b, t, s] = v · tanh(W query[b, t] + key[b, s] + L features[b, t, s])

    where key = U memory + b, and the attention keeps the history: the alignments of the
    step before, or the sum of all before it. It belongs in a `LocationSensitiveAttention`.

    Args:
        units: Width U of the hidden layer of the score, in features. At least 1.
        filters: Number N of filters of the convolution. At least 1.
        kernel_size: Width J of a filter, in places. At least 1, odd.
        normalize: Whether v is weight-normalized; see `AdditiveScore`.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].
        history: float [B, T, S].

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If a size is below 1, `kernel_size` is even, or it is called without a history.

    Example:
        >>> score = attnzoo.layers.LocationSensitiveScore(units=7)
        >>> score(query, memory, alignments).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [Chorowski et al., 2015](https://arxiv.org/abs/1506.07503), equations 8 and 9.
    """

    attention = "LocationSensitiveAttention"

    def __init__(self, units: int, *, filters: int = 32, kernel_size: int = 31, **kwargs):
        super().__init__(units, **kwargs)
        check_positive(filters=filters, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(
                "`kernel_size` must be odd, so that one place is the middle of the filter. "
                f"Received: kernel_size={kernel_size}"
            )
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, query_shape, memory_shape, history_shape=None):
        super().build(query_shape, memory_shape)
        self.location_filters = self.add_weight(
            shape=(self.kernel_size, self.filters),
            initializer="glorot_uniform",
            name="location_filters",
        )
        self.location_kernel = self.add_weight(
            shape=(self.filters, self.units), initializer="glorot_uniform", name="location_kernel"
        )

    def place(self, history):
        features = location_features(history, self.read(self.location_filters))  # [B, T, S, N]
        return linear(features, self.read(self.location_kernel))  # [B, T, S, U]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size}

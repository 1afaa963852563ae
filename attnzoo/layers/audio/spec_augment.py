"""Augmentation of spectrograms: bands of frequencies and spans of time are hidden."""

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_mask


@keras.saving.register_keras_serializable(package="attnzoo")
class SpecAugment(keras.layers.Layer):
    """Layer that hides bands of frequencies and spans of time of features, in training.

    Each clip has its own draws. A band is w features wide, w uniform in 0, ..., `frequency_width`,
    and lies anywhere; a span is as long in frames, and no longer than `time_share` of the clip.
    Hidden features become 0, which is their mean if they are normalized.

    Differs from the paper: there is no time warping, which the authors found to matter least.

    Args:
        frequency_masks: Bands in a clip. At least 0.
        frequency_width: Largest width of a band, in features. At least 0.
        time_masks: Spans in a clip. At least 0.
        time_width: Largest length of a span, in frames. At least 0.
        time_share: Largest share of the clip's real frames that one span hides. In [0, 1].
        seed: Seed of the draws, or None.

    Call arguments:
        features: float [B, F, D].
        padding_mask: bool [B, F], or None. True = a real frame; padding comes last.

    Returns:
        float [B, F, D]. Unchanged unless `training=True`.

    Raises:
        ValueError: If a number is outside its range.

    Example:
        >>> hidden = attnzoo.layers.SpecAugment(frequency_width=8)(features, training=True)

    References:
        [Park et al., 2019](https://arxiv.org/abs/1904.08779).
    """

    def __init__(
        self,
        *,
        frequency_masks: int = 2,
        frequency_width: int = 15,
        time_masks: int = 2,
        time_width: int = 50,
        time_share: float = 0.2,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_at_least(
            0,
            frequency_masks=frequency_masks,
            frequency_width=frequency_width,
            time_masks=time_masks,
            time_width=time_width,
        )
        if not 0.0 <= time_share <= 1.0:
            raise ValueError(f"`time_share` must be in [0, 1]. Received: time_share={time_share}")
        self.frequency_masks = frequency_masks
        self.frequency_width = frequency_width
        self.time_masks = time_masks
        self.time_width = time_width
        self.time_share = time_share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, features_shape):
        self.built = True

    def call(self, features, padding_mask=None, training: bool = False):
        if not training:
            return features
        batch, length, width = ops.shape(features)
        frames = ops.ones((batch, 1), "float32") * ops.cast(length, "float32")  # [B, 1]
        if padding_mask is not None:
            check_mask("padding_mask", padding_mask, (2,), "is real")
            frames = ops.sum(ops.cast(padding_mask, "float32"), axis=1, keepdims=True)
        longest = ops.minimum(float(self.time_width), ops.floor(self.time_share * frames))
        bands = ops.ones((batch, 1), "float32") * ops.cast(width, "float32")
        widest = ops.minimum(float(self.frequency_width), bands)
        in_time = self._draw_spans(self.time_masks, longest, frames, length)  # [B, F]
        in_frequency = self._draw_spans(self.frequency_masks, widest, bands, width)  # [B, D]
        hidden = ops.logical_or(in_time[:, :, None], in_frequency[:, None, :])
        return ops.where(hidden, ops.zeros_like(features), features)

    def _draw_spans(self, count: int, widest, room, size):
        """Return bool [B, size], True in `count` spans of each row.

        Args:
            count: Number of spans.
            widest: float32 [B, 1]. Largest width of a span.
            room: float32 [B, 1]. Number of places that spans lie in.
            size: Number of all places.
        """
        batch = ops.shape(room)[0]
        if count == 0:
            return ops.zeros((batch, size), "bool")
        width, start = (
            keras.random.uniform((batch, count), dtype="float32", seed=self.seed_generator)
            for _ in range(2)
        )
        width = ops.minimum(ops.floor(width * (widest + 1.0)), widest)
        start = ops.floor(start * (room - width + 1.0))  # [B, count]
        places = ops.cast(ops.arange(size), "float32")[None, None, :]  # [1, 1, size]
        inside = ops.logical_and(
            places >= start[:, :, None], places < (start + width)[:, :, None]
        )  # [B, count, size]
        return ops.any(inside, axis=1)

    def compute_output_shape(self, features_shape, padding_mask_shape=None):
        return features_shape

    def get_config(self):
        return {
            **super().get_config(),
            "frequency_masks": self.frequency_masks,
            "frequency_width": self.frequency_width,
            "time_masks": self.time_masks,
            "time_width": self.time_width,
            "time_share": self.time_share,
            "seed": self.seed,
        }

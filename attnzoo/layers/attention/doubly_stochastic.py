"""A loss that makes attention give every place of the memory its share."""

import keras
from keras import ops

from attnzoo.checks import check_at_least


@keras.saving.register_keras_serializable(package="attnzoo")
class DoublyStochasticPenalty(keras.layers.Layer):
    """Loss for alignments whose weights do not sum to 1 at each place of the memory.

        weight * mean over b of sum over s of (1 - sum over t of alignments[b, t, s]) ** 2

    The sum over t is over real steps. The rows of alignments sum to 1 as they are; where this loss
    is 0 the columns do too, and no place was left out. The loss comes through `add_loss`, so plain
    `fit` has it; evaluation has not.

    Args:
        weight: Weight of the loss, lambda in the paper. At least 0.

    Call arguments:
        alignments: float [B, T, S].
        padding_mask: bool [B, T], or None. True = a real step.

    Returns:
        `alignments`, unchanged.

    Raises:
        ValueError: If `weight` is negative.

    Example:
        >>> alignments = attnzoo.layers.DoublyStochasticPenalty(0.01)(alignments, training=True)

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), equation 14.
    """

    def __init__(self, weight: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        check_at_least(0, weight=weight)
        self.weight = weight
        self.supports_masking = True

    def call(self, alignments, padding_mask=None, training: bool = False):
        if training and self.weight:
            weights = ops.cast(alignments, "float32")
            if padding_mask is not None:
                weights = weights * ops.cast(padding_mask, "float32")[:, :, None]
            left = ops.square(1.0 - ops.sum(weights, axis=1))  # [B, S]
            self.add_loss(self.weight * ops.mean(ops.sum(left, axis=-1)))
        return alignments

    def compute_output_shape(self, alignments_shape, padding_mask_shape=None):
        return alignments_shape

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}

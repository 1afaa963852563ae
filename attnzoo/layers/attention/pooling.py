"""Attentive pooling: one vector of a sequence, by learned weights of its places."""

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_mask, check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.masks import warn_of_lost_mask
from attnzoo.ops import combine_masks, get_normalizer, linear, weighted_sum


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentivePooling(SpecLayer):
    """Self-attention that pools a sequence, with one or several views (hops) of it.

        alignments[b, h] = softmax over s of v[h] · tanh(W memory[b, s] + b)
        pooled[b]        = the H vectors  sum over s of alignments[b, h, s] memory[b, s], joined

    There is no query: v is learned. One hop is the word or sentence attention of Yang et al.;
    several are the structured embedding of Lin et al., whose penalty keeps hops apart. In training

        penalty * mean over b of || A[b] A[b]^T - I ||^2        with A = alignments, [H, S]

    is then added to the model's loss. An example with nothing in it gives zeros.

    Differs from the papers: Lin's W has no bias (`use_bias=False`).

    Args:
        units: Width U of the hidden layer of the score, in features. At least 1.
        num_hops: H, the number of views. At least 1.
        penalty: Weight of the loss that keeps them apart. At least 0.
        normalizer: `"softmax"`, or `"sparsemax"` or `"entmax15"`.
        use_bias: Whether W has a bias.

    Call arguments:
        memory: float [B, S, Dm].
        mask: bool [B, S], or None. True = a real row. None is the mask that Keras sends along with
            `memory`, if there is one: the recurrent layers of Keras 3.16 and later send none, so
            pass it there.
        return_alignments: Whether to return the alignments too.
        training: Whether the penalty is added.

    Returns:
        float [B, H * Dm]; with `return_alignments=True` the pair of it and the alignments, float
        [B, H, S].

    Raises:
        ValueError: If a number is out of range, the normalizer unknown, or the mask not boolean.

    Example:
        >>> pooling = attnzoo.layers.AttentivePooling(units=7, num_hops=3, penalty=1.0)
        >>> pooled, alignments = pooling(memory, return_alignments=True)
        >>> pooled.shape, alignments.shape  # B=2, S=11, Dm=5
        ((2, 15), (2, 3, 11))

    References:
        [Yang et al., 2016](https://aclanthology.org/N16-1174), equations 5 to 7.
        [Lin et al., 2017](https://arxiv.org/abs/1703.03130), equations 6 and 8.
    """

    def __init__(
        self,
        units: int,
        *,
        num_hops: int = 1,
        penalty: float = 0.0,
        normalizer: str = "softmax",
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(units=units, num_hops=num_hops)
        check_at_least(0, penalty=penalty)
        get_normalizer(normalizer)  # Raises if it is unknown.
        self.units = units
        self.num_hops = num_hops
        self.penalty = penalty
        self.normalizer = normalizer
        self.use_bias = use_bias
        self.supports_masking = True

    def build(self, memory_shape):
        shape = (memory_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.v = self.add_weight(
            shape=(self.units, self.num_hops), initializer="glorot_uniform", name="v"
        )
        self.built = True

    def call(self, memory, mask=None, return_alignments: bool = False, training: bool = False):
        check_mask("mask", mask, ranks=(2,))
        key = ops.tanh(linear(memory, self.kernel, self.bias))  # [B, S, U]
        scores = ops.transpose(linear(key, self.v), (0, 2, 1))  # [B, H, S]
        alignments = get_normalizer(self.normalizer)(scores, combine_masks(mask))
        if training and self.penalty:
            self.add_loss(self.penalty * self.overlap(alignments))
        views = weighted_sum(alignments, memory)  # [B, H, Dm]
        pooled = ops.reshape(views, (-1, self.num_hops * memory.shape[-1]))
        return (pooled, alignments) if return_alignments else pooled

    def overlap(self, alignments):
        """Return how much the hops of an example share places: a scalar, 0 for none."""
        alignments = ops.cast(alignments, "float32")
        both = ops.matmul(alignments, ops.transpose(alignments, (0, 2, 1)))  # [B, H, H]
        return ops.mean(ops.sum(ops.square(both - ops.eye(self.num_hops)), axis=(1, 2)))

    def compute_mask(self, memory, mask=None):
        return None  # There are no steps left.

    def compute_output_spec(
        self, memory, mask=None, return_alignments: bool = False, training: bool = False
    ):
        check_mask("mask", mask, ranks=(2,))
        warn_of_lost_mask("mask", memory, mask)
        batch, length, width = memory.shape
        pooled = keras.KerasTensor((batch, self.num_hops * width), dtype=self.compute_dtype)
        if not return_alignments:
            return pooled
        shape = (batch, self.num_hops, length)
        return pooled, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_hops": self.num_hops,
            "penalty": self.penalty,
            "normalizer": self.normalizer,
            "use_bias": self.use_bias,
        }

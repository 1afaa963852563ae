"""External attention: places attend to a small memory that is learned."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.vision.maps import MapLayer, check_map, count_places, to_map, to_places
from attnzoo.ops import linear, masked_log_softmax, masked_softmax


@keras.saving.register_keras_serializable(package="attnzoo")
class ExternalAttention(MapLayer):
    """External attention of Guo et al.: linear in the number of places.

        scores[b, p, s]     = inputs[b, p] · key[s]
        shares[b, p, s]     = softmax over p of scores[b, p, s]
        alignments[b, p, s] = shares[b, p, s] / sum over s' of shares[b, p, s']
        outputs[b, p]       = sum over s of alignments[b, p, s] value[s]

    key and value are weights, [S, C]. The second line and the third are the double normalization of
    the paper; it is computed of logarithms, so that no sum underflows.

    Args:
        memory_size: S, in rows. At least 1.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, C]; with `return_alignments=True` the pair of it and the alignments, float
        [B, P, S] with P = H W, places row by row. Rows sum to 1.

    Raises:
        ValueError: If `memory_size` is below 1.

    Example:
        >>> layer = attnzoo.layers.ExternalAttention(memory_size=7)
        >>> outputs, alignments = layer(inputs, return_alignments=True)
        >>> outputs.shape, alignments.shape  # B=2, H=3, W=5, C=8
        ((2, 3, 5, 8), (2, 15, 7))

    References:
        [Guo et al., 2021](https://arxiv.org/abs/2105.02358), equations 4 to 8.
    """

    def __init__(self, memory_size: int = 64, **kwargs):
        super().__init__(**kwargs)
        check_positive(memory_size=memory_size)
        self.memory_size = memory_size

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        self.key = self.add_kernel("key", self.memory_size, channels)
        self.value = self.add_kernel("value", self.memory_size, channels)
        self.built = True

    def call(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        scores = linear(to_places(inputs), ops.transpose(self.read(self.key)))  # [B, P, S]
        log_shares = masked_log_softmax(ops.transpose(scores, (0, 2, 1)))  # [B, S, P]
        # Softmax of logarithms divides by the sum.
        alignments = masked_softmax(ops.transpose(log_shares, (0, 2, 1)))
        alignments = ops.cast(alignments, self.compute_dtype)
        outputs = to_map(linear(alignments, self.read(self.value)), inputs)
        return (outputs, alignments) if return_alignments else outputs

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        outputs = self.tensor(*inputs.shape)
        if not return_alignments:
            return outputs
        places = count_places(inputs.shape)
        return outputs, self.tensor(inputs.shape[0], places, self.memory_size)

    def get_config(self):
        return {**super().get_config(), "memory_size": self.memory_size}

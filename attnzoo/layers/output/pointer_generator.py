"""The output layer that generates a token of its vocabulary, or copies one of the source."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.output.base import OutputLayer
from attnzoo.ops import copy_places, linear, pointer_log_probs


@keras.saving.register_keras_serializable(package="attnzoo")
class PointerGenerator(OutputLayer, SpecLayer):
    """Logits of the vocabulary, mixed with the alignments as a distribution over the source.

        p_gen[b, t]   = sigmoid(w · outputs[b, t] + a)
        p[b, t, v]    = p_gen[b, t] softmax(O outputs[b, t] + o)[v]
                        + (1 - p_gen[b, t]) * sum over s with copy_token_ids[b, s] = v
                          of alignments[b, t, s]

    It gives log p[b, t], computed in log space: logits whose softmax is p again. What can be said
    differs from batch to batch: the V tokens of the vocabulary, then S more, one for each place of
    the source. A symbol of the source that is in the vocabulary has its id there; any other has
    V + the first place in this source where it stands.

    Differs from the paper: p_gen and the vocabulary's logits are read from the decoder's readout,
    which has seen state, input and context already; the paper's p_gen reads those three. The
    extended vocabulary is V + S wide whatever is in the batch.

    Args:
        vocabulary_size: V, the number of tokens. At least 1.

    Call arguments:
        outputs: float [B, T, D]. The decoder's readout.
        memory: Not used here; see `OutputLayer`.
        alignments: float [B, T, S]. Where the decoder looked; 0 over padding. Where draws make
            them 0 and 1, a symbol that is not drawn can hardly be said: soft ones learn better.
        memory_mask, token_ids: Not used here.
        copy_token_ids: int [B, S]. In [0, V + S); anything in that range over padding.
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, T, V + S]. Log-probabilities, in nats. What cannot be said has -85.2.

    Raises:
        ValueError: If `vocabulary_size` < 1, or `alignments` or `copy_token_ids` are missing.

    Example:
        >>> output_layer = attnzoo.layers.PointerGenerator(43)
        >>> output_layer(outputs, alignments=alignments, copy_token_ids=ids).shape  # B=2, T=3, S=11
        (2, 3, 54)

    References:
        [See et al., 2017](https://arxiv.org/abs/1704.04368), section 2.2, equations 8 and 9.
    """

    needs_alignments = True

    def __init__(self, vocabulary_size: int, **kwargs):
        super().__init__(**kwargs)
        check_positive(vocabulary_size=vocabulary_size)
        self.vocabulary_size = vocabulary_size
        self.supports_masking = True

    def build(self, outputs_shape):
        def weight(name, *shape, initializer="glorot_uniform"):
            return self.add_weight(shape=shape, initializer=initializer, name=name)

        self.kernel = weight("kernel", outputs_shape[-1], self.vocabulary_size)
        self.bias = weight("bias", self.vocabulary_size, initializer="zeros")
        self.gate_kernel = weight("gate_kernel", outputs_shape[-1], 1)
        self.gate_bias = weight("gate_bias", 1, initializer="zeros")
        self.built = True

    def prepare(self, memory, memory_mask=None, copy_token_ids=None):
        """Compute the token that each place copies, once per source: float32 [B, S, V + S]."""
        if copy_token_ids is None:
            raise ValueError(
                "`copy_token_ids` must be the token that copying each place of the source gives: a "
                "preprocessor with `pointer_generator=True` makes them. Received: "
                "copy_token_ids=None"
            )
        return copy_places(copy_token_ids, self.vocabulary_size)

    def step(self, outputs, alignments, token_ids, prepared, state):
        batch, length, size = ops.shape(prepared)
        rows = ops.reshape(outputs, (batch, -1, outputs.shape[-1]))  # [B, K, D]
        weights = ops.reshape(alignments, (batch, -1, length))  # [B, K, S]
        log_probs = self.mix(rows, weights, prepared)
        return ops.reshape(log_probs, (-1, size)), alignments, state

    def call(
        self,
        outputs,
        memory=None,
        alignments=None,
        memory_mask=None,
        token_ids=None,
        copy_token_ids=None,
        return_alignments: bool = False,
        training: bool = False,
    ):
        if alignments is None:
            raise ValueError(
                "`alignments` must be those of the decoder, which gives them with "
                "`return_alignments=True`. Received: alignments=None"
            )
        places = self.prepare(memory, memory_mask, copy_token_ids)
        log_probs = self.mix(outputs, alignments, places)
        return (log_probs, alignments) if return_alignments else log_probs

    def mix(self, outputs, alignments, places):
        """Return log-probabilities [B, T, V + S] of what `prepare` gave."""
        logits = linear(outputs, self._read(self.kernel), self._read(self.bias))
        gate = linear(outputs, self._read(self.gate_kernel), self._read(self.gate_bias))
        log_probs = pointer_log_probs(logits, gate[:, :, 0], alignments, places)
        return ops.cast(log_probs, self.compute_dtype)

    def compute_mask(self, outputs, mask=None):
        return mask  # Logits stand where the outputs stood.

    def compute_output_spec(
        self,
        outputs,
        memory=None,
        alignments=None,
        memory_mask=None,
        token_ids=None,
        copy_token_ids=None,
        return_alignments: bool = False,
        training: bool = False,
    ):
        length = None if copy_token_ids is None else copy_token_ids.shape[1]
        width = None if length is None else self.vocabulary_size + length
        logits = keras.KerasTensor((*outputs.shape[:2], width), dtype=self.compute_dtype)
        return (logits, alignments) if return_alignments else logits

    def get_config(self):
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size}

    def _read(self, weight):
        """Return a weight in the compute dtype: it runs outside of `call` too."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)

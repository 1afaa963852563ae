"""The output layer that sums over the place of a step."""

import keras
from keras import ops

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.output.base import OutputLayer
from attnzoo.ops import linear, marginal_log_probs


@keras.saving.register_keras_serializable(package="attnzoo")
class MarginalLogits(OutputLayer, SpecLayer):
    """Log-probabilities of the vocabulary, summed over the place that a step attends to.

        readout[b, t, s] = tanh(W [output[b, t]; memory[b, s]])
        p[b, t, s]       = softmax(O readout[b, t, s] + o)
        p[b, t]          = sum over s of alignments[b, t, s] p[b, t, s]

    It gives log p[b, t], computed in log space: logits whose softmax is p again. W is two weights,
    so that the output's part and the memory's are each computed once; large [B, T, S, ...] go in
    blocks (see `attnzoo.ops.marginal_log_probs`). Where no place has a weight, all targets are
    equally probable.

    Differs from the paper: W has no bias; dropout, if any, drops the same features of the readout
    at all places of a step.

    Args:
        vocabulary_size: V, the number of targets. At least 1.
        hidden_dim: Width U of the readout, in features. At least 1.
        dropout: Probability of dropping a feature of the readout. In [0, 1).

    Call arguments:
        outputs: float [B, T, Dq]. Of a decoder cell; they know nothing of the alignments.
        memory: float [B, S, Dm].
        alignments: float [B, T, S]. Probabilities of the places; 0 over padding.
        memory_mask, token_ids, copy_token_ids: Not used here; see `OutputLayer`.
        return_alignments: Whether to return the alignments too.
        training: Whether dropout is on.

    Returns:
        float [B, T, V]. Log-probabilities, in nats.

    Raises:
        ValueError: If a size is below 1 or `dropout` is outside [0, 1).

    Example:
        >>> output_layer = attnzoo.layers.MarginalLogits(43, hidden_dim=7)
        >>> output_layer(outputs, memory, alignments).shape  # B=2, T=3
        (2, 3, 43)

    References:
        [Wu et al., 2018](https://arxiv.org/abs/1808.10024), section 3.
    """

    needs_alignments = True

    def __init__(self, vocabulary_size: int, *, hidden_dim: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim)
        check_rate(dropout=dropout)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.seed_generator = keras.random.SeedGenerator() if dropout else None
        self.supports_masking = True

    def build(self, outputs_shape, memory_shape):
        def kernel(name, *shape):
            return self.add_weight(shape=shape, initializer="glorot_uniform", name=name)

        self.query_kernel = kernel("query_kernel", outputs_shape[-1], self.hidden_dim)
        self.memory_kernel = kernel("memory_kernel", memory_shape[-1], self.hidden_dim)
        self.kernel = kernel("kernel", self.hidden_dim, self.vocabulary_size)
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="bias")
        self.built = True

    def prepare(self, memory, memory_mask=None, copy_token_ids=None):
        """Compute the memory's part of the readout, once per source: [B, S, U]."""
        return linear(memory, self._read(self.memory_kernel))

    def step(self, outputs, alignments, token_ids, prepared, state):
        batch = ops.shape(prepared)[0]
        query = ops.reshape(outputs, (batch, -1, outputs.shape[-1]))  # [B, K, Dq]
        weights = ops.reshape(alignments, (batch, -1, ops.shape(prepared)[1]))  # [B, K, S]
        log_probs = self.marginalize(self.project(query), prepared, weights)
        return ops.reshape(log_probs, (-1, self.vocabulary_size)), alignments, state

    def call(
        self,
        outputs,
        memory,
        alignments,
        memory_mask=None,
        token_ids=None,
        copy_token_ids=None,
        return_alignments: bool = False,
        training: bool = False,
    ):
        query = self.project(outputs)
        kept = self.draw_kept(query, training)
        log_probs = self.marginalize(query, self.prepare(memory), alignments, kept)
        return (log_probs, alignments) if return_alignments else log_probs

    def project(self, outputs):
        """Compute the outputs' part of the readout: [B, T, Dq] to [B, T, U]."""
        return linear(outputs, self._read(self.query_kernel))

    def draw_kept(self, query, training: bool):
        """Draw the factors of dropout of the readout [B, T, U], or return None."""
        if not (training and self.dropout):
            return None
        return keras.random.dropout(ops.ones_like(query), self.dropout, seed=self.seed_generator)

    def marginalize(self, query, key, alignments, kept=None):
        """Return log-probabilities [B, T, V] of what `project` and `prepare` gave."""
        log_probs = marginal_log_probs(
            query, key, alignments, self._read(self.kernel), self._read(self.bias), kept
        )
        return ops.cast(log_probs, self.compute_dtype)

    def compute_mask(self, outputs, mask=None):
        return mask  # Logits stand where the outputs stood.

    def compute_output_spec(
        self, outputs, memory, alignments, *args, return_alignments: bool = False, **kwargs
    ):
        shape = (*outputs.shape[:2], self.vocabulary_size)
        logits = keras.KerasTensor(shape, dtype=self.compute_dtype)
        revised = keras.KerasTensor(alignments.shape, dtype=self.compute_dtype)
        return (logits, revised) if return_alignments else logits

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
        }

    def _read(self, weight):
        """Return a weight in the compute dtype: it runs outside of `call` too."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)

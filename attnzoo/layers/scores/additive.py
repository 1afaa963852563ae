"""Additive score."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.scores.base import Score
from attnzoo.ops import additive_scores, linear


@keras.saving.register_keras_serializable(package="attnzoo")
class AdditiveScore(Score):
    """Additive score of Bahdanau et al.

        scores[b, t, s] = v · tanh(W query[b, t] + key[b, s] + b)    where key = U memory

    Luong's *concat* is this score too: its one matrix over [query; memory] is W and U side by side.
    With `normalize=True` the vector is weight-normalized, v = g w / |w|, with a trained length g.

    Differs from the paper: there is a bias b, which starts at zero.

    Memory stays far below [B, T, S, U]: see `attnzoo.ops.additive_scores`.

    Args:
        units: Width U of the hidden layer of the score, in features. At least 1.
        normalize: Whether to learn the length of v apart from its direction.

    Call arguments:
        query: float [B, T, Dq].
        memory: float [B, S, Dm].

    Returns:
        float [B, T, S].

    Raises:
        ValueError: If `units` < 1.

    Example:
        >>> attnzoo.layers.AdditiveScore(units=7)(query, memory).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), appendix A.1.2.
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), equation 8 (concat).
        [Salimans and Kingma, 2016](https://arxiv.org/abs/1602.07868), equation 2 (normalize).
    """

    placewise = True

    def __init__(self, units: int, *, normalize: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self.normalize = normalize

    def build(self, query_shape, memory_shape):
        self.query_kernel = self.add_weight(
            shape=(query_shape[-1], self.units), initializer="glorot_uniform", name="query_kernel"
        )
        self.memory_kernel = self.add_weight(
            shape=(memory_shape[-1], self.units), initializer="glorot_uniform", name="memory_kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        # As a matrix [U, 1], Glorot's range would be that of one output: sqrt(6 / (U + 1)).
        limit = (6.0 / (self.units + 1)) ** 0.5
        self.vector = self.add_weight(
            shape=(self.units,),
            initializer=keras.initializers.RandomUniform(-limit, limit),
            name="vector",
        )
        if self.normalize:
            self.length = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(self.units**-0.5),
                name="length",
            )
        self.built = True

    def project(self, memory):
        # The bias is added here, once per source, and not at every step.
        return linear(memory, self.read(self.memory_kernel)) + self.read(self.bias)  # [B, S, U]

    def compare(self, query, key):
        query = linear(query, self.read(self.query_kernel))
        return additive_scores(query, key, self.read_vector())

    def read_vector(self):
        """Return the vector v, [U]."""
        vector = self.read(self.vector)
        if self.normalize:
            vector = vector * (self.read(self.length) * ops.rsqrt(ops.sum(ops.square(vector))))
        return vector

    def get_config(self):
        return {**super().get_config(), "units": self.units, "normalize": self.normalize}

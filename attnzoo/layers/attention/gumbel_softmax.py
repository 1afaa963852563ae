"""Hard attention that is trained between hard and soft, by the Gumbel-softmax."""

import keras
from keras import ops

from attnzoo.checks import check_above
from attnzoo.layers.attention.hard import HardAttention
from attnzoo.layers.ranges import Range
from attnzoo.layers.scores.base import Score
from attnzoo.ops import masked_softmax


@keras.saving.register_keras_serializable(package="attnzoo")
class GumbelSoftmaxAttention(HardAttention):
    """Hard attention trained by the Gumbel-softmax of Jang et al.

        alignments[b, t] = softmax over s of
                           (score(query[b, t], memory[b, s]) + noise[b, t, s]) / temperature

    in training, with noise of the Gumbel distribution; one place otherwise. The lower the
    temperature, the closer to a draw from the softmax of the scores. The gradient is biased, and
    trains anywhere under plain `fit`.

    Args:
        score: As in `HardAttention`.
        num_samples: As in `HardAttention`.
        temperature: First value of the variable `temperature`; above 0, and finite. An
            `attnzoo.training.VariableSchedule` can anneal it.
        soft_mixing: As in `HardAttention`.
        seed: As in `HardAttention`.

    Call arguments and returns: as in `HardAttention`.

    Raises:
        ValueError: As in `HardAttention`; if the temperature is outside its range.

    Example:
        >>> attention = attnzoo.layers.GumbelSoftmaxAttention("additive", units=7, temperature=2.0)
        >>> attention(query, memory).shape  # B=2, T=3, Dm=5
        (2, 3, 5)
        >>> attention.temperature.assign(0.5)

    References:
        [Jang et al., 2017](https://arxiv.org/abs/1611.01144).
    """

    estimator = "gumbel"

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        num_samples: int = 1,
        temperature: float = 1.0,
        soft_mixing: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(
            score, num_samples=num_samples, soft_mixing=soft_mixing, seed=seed, **kwargs
        )
        check_above(0, finite=True, temperature=temperature)
        self.first_temperature = temperature
        self._temperature: keras.Variable | None = None

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)
        temperature = self.add_variable("temperature", self.first_temperature)
        temperature.constraint = Range("above 0", lambda value: value > 0.0)
        self._temperature = temperature

    @property
    def temperature(self) -> keras.Variable:
        """The variable that divides the scores and their noise, above 0."""
        if self._temperature is None:
            raise ValueError(
                "The variable `temperature` is there once the layer is built. Received: "
                f"built={self.built}"
            )
        return self._temperature

    def draw(self, scores, noise, mask):
        temperature = ops.cast(ops.convert_to_tensor(self.temperature), scores.dtype)
        mask = None if mask is None else ops.expand_dims(mask, -2)
        drawn = masked_softmax((scores[:, :, None] + noise) / temperature, mask)  # [B, T, n, S]
        return ops.mean(drawn, axis=2)

    def get_config(self):
        return {**super().get_config(), "temperature": self.first_temperature}

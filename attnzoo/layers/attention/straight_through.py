"""Hard attention with the gradient of soft attention."""

import keras
from keras import ops

from attnzoo.layers.attention.hard import HardAttention
from attnzoo.layers.scores.base import Score
from attnzoo.ops import masked_softmax


@keras.saving.register_keras_serializable(package="attnzoo")
class StraightThroughAttention(HardAttention):
    """Hard attention trained straight through its draws.

        place[b, t]   ~ p[b, t],    p[b, t] = softmax over s of score(query[b, t], memory[b, s])
        context[b, t] = memory[b, place[b, t]]

    The gradient is that of the soft context, sum over s of p[b, t, s] memory[b, s]. It is biased,
    and trains anywhere under plain `fit`.

    Args:
        score: As in `HardAttention`.
        num_samples: As in `HardAttention`.
        soft_mixing: As in `HardAttention`.
        seed: As in `HardAttention`.

    Call arguments and returns: as in `HardAttention`.

    Raises:
        ValueError: As in `HardAttention`.

    Example:
        >>> attention = attnzoo.layers.StraightThroughAttention("additive", units=7)
        >>> attention(query, memory).shape  # B=2, T=3, Dm=5
        (2, 3, 5)

    References:
        [Bengio et al., 2013](https://arxiv.org/abs/1308.3432).
    """

    estimator = "straight_through"

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        num_samples: int = 1,
        soft_mixing: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(
            score, num_samples=num_samples, soft_mixing=soft_mixing, seed=seed, **kwargs
        )

    def draw(self, scores, noise, mask):
        soft = masked_softmax(scores, mask)
        return self.draw_hard(scores, noise, mask) + (soft - ops.stop_gradient(soft))

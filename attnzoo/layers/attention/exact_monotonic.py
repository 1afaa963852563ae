"""Exact hard monotonic attention: one place a step, summed over all monotone alignments."""

import keras

from attnzoo.layers.attention.exact import ExactHardAttention
from attnzoo.layers.output import MonotonicMarginalLogits
from attnzoo.layers.output.monotonic_marginal_logits import check_order
from attnzoo.layers.scores.base import Score


@keras.saving.register_keras_serializable(package="attnzoo")
class ExactMonotonicAttention(ExactHardAttention):
    """Hard attention of Wu and Cotterell, summed over all monotone alignments of a target.

        alignments[b, t] = softmax over s of score(query[b, t], memory[b, s])
        p(y[b])          = sum over all places s[1] <= ... <= s[T] of
                           product over t of moves[b, t](s[t] | s[t - 1]) p(y[b, t] | s[t])

    The moves are of order 0, the alignments over the places not yet passed, or of order 1: then
    they depend on the distance too, and reach `max_jump` places on. Moves and sum are in
    `MonotonicMarginalLogits`, the output layer of this attention, which `RNNSeq2SeqLM` takes by
    itself. The sum is exact, by the forward algorithm, as long as the place of a step has no effect
    on a later step but on its place: the order is "after", and nothing is fed back.

    Steps are those of soft attention: their alignments are not yet monotone. Those that a model
    returns are the output layer's.

    Args:
        score: As in `SoftAttention`; a named score takes its own arguments beside it.
        order: 0 or 1.
        max_jump: Order 1 only: how many places a step may move on, at most. At least 1. None for 5.
        normalizer: As in `SoftAttention`.

    Call arguments and returns: as in `Attention`; Dv = Dm.

    Raises:
        ValueError: If `order` is not 0 or 1, `max_jump` is below 1 or comes with order 0, the score
            or the normalizer is unknown, or arguments stand beside a score that has its own.

    Example:
        >>> attention = attnzoo.layers.ExactMonotonicAttention(order=1, max_jump=3)
        >>> output_layer = attention.make_output_layer(43, hidden_dim=7)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> output_layer(query, memory, alignments, token_ids=token_ids).shape  # B=2, T=3
        (2, 3, 43)

    References:
        [Wu and Cotterell, 2019](https://arxiv.org/abs/1905.06319).
    """

    def __init__(
        self,
        score: Score | str = "bilinear",
        *,
        order: int = 1,
        max_jump: int | None = None,
        **kwargs,
    ):
        check_order(order, max_jump)
        super().__init__(score, **kwargs)
        self.order = order
        self.max_jump = max_jump

    def make_output_layer(self, vocabulary_size: int, **kwargs):
        """Make the output layer of this attention; arguments as in `MarginalLogits`."""
        return MonotonicMarginalLogits(
            vocabulary_size, order=self.order, max_jump=self.max_jump, **kwargs
        )

    def get_config(self):
        return {**super().get_config(), "order": self.order, "max_jump": self.max_jump}

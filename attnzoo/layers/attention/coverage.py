"""Coverage attention: it knows the sum of its alignments so far, and repetition may cost."""

import keras

from attnzoo.checks import check_at_least
from attnzoo.layers.attention.history import HistoryAttention
from attnzoo.layers.scores.coverage import CoverageScore
from attnzoo.ops import coverage_loss as overlap_of


@keras.saving.register_keras_serializable(package="attnzoo")
class CoverageAttention(HistoryAttention):
    """Attention with coverage, of See et al.

        coverage[t]   = sum over t' < t of alignments[t']
        scores[t, s]  = v · tanh(W query[t] + U memory[s] + w coverage[t, s] + b)
        alignments[t] = softmax over s of scores[t, s]

    With a `coverage_loss` above 0, training adds to the model's loss that weight times

        mean over t of sum over s of min(alignments[t, s], coverage[t, s])

    which is the cost of attending to the same place again. It comes through `add_loss`, so plain
    `fit` has it; evaluation has not. The mean is over the steps that the mask of the queries calls
    real (`query_mask`; in `AttentionRNN` `inputs_mask`), over all steps where there is none. The
    paper trains without it first, and with a weight of 1 at the end.

    Differs from the paper: the paper's loss sums over the steps of a text before it takes the mean
    of the batch; here, as in the cross-entropy, it is the mean over all real steps.

    Args:
        units: Width of the hidden layer of the score, in features. At least 1.
        coverage_loss: Weight of the loss. At least 0. It may be set later too, before `compile`.
        normalize: Whether v is weight-normalized; see `AdditiveScore`.
        normalizer: As in `SoftAttention`.

    Call arguments and returns: as in `Attention`; Dv = Dm. There is no `attention_mask`.

    Raises:
        ValueError: If `units` < 1, `coverage_loss` is negative, or the normalizer is unknown.

    Example:
        >>> attention = attnzoo.layers.CoverageAttention(units=7, coverage_loss=1.0)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5
        ((2, 3, 5), (2, 3, 11))

    References:
        [See et al., 2017](https://arxiv.org/abs/1704.04368), section 2.3.
    """

    has_coverage = True

    def __init__(
        self,
        units: int,
        *,
        coverage_loss: float = 0.0,
        normalize: bool = False,
        normalizer: str = "softmax",
        **kwargs,
    ):
        score = CoverageScore(units, normalize=normalize, name="score", dtype=kwargs.get("dtype"))
        super().__init__(score, normalizer=normalizer, **kwargs)
        self.units = units
        self.coverage_loss = coverage_loss
        self.normalize = normalize

    @property
    def coverage_loss(self) -> float:
        """Weight of the coverage loss. At least 0."""
        return self._coverage_loss

    @coverage_loss.setter
    def coverage_loss(self, weight: float):
        check_at_least(0, coverage_loss=weight)
        self._coverage_loss = weight

    @property
    def needs_training_pass(self) -> bool:  # type: ignore[override]  # A constant of the base.
        return self.coverage_loss > 0.0

    def after_training(self, steps):
        self.add_loss(self.coverage_loss * overlap_of(steps.alignments, steps.query_mask))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "coverage_loss": self.coverage_loss,
            "normalize": self.normalize,
        }

"""Hard attention that learns by REINFORCE: each draw is charged with the loss that came of it."""

import warnings

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_choice, check_rate
from attnzoo.layers.attention.draws import Draws, hand_in, is_collecting
from attnzoo.layers.attention.hard import HardAttention
from attnzoo.layers.scores.base import Score
from attnzoo.ops import linear, masked_log_softmax

BASELINES = ("moving_average", "learned", None)
CREDITS = ("step", "example")


@keras.saving.register_keras_serializable(package="attnzoo")
class ReinforceAttention(HardAttention):
    """Hard attention of Xu et al., trained by REINFORCE.

        place[b, t] ~ p[b, t],    p[b, t] = softmax over s of score(query[b, t], memory[b, s])

        gradient of    log p[b, t, place[b, t]] * (loss[b, t:] - baseline[b, t])

    where the bracket is a number, and loss[b, t:] is the loss at and after t: a draw cannot change
    what came before it. The estimate is unbiased. The loss is known to the model alone, so the
    model must be an `attnzoo.models.ReinforceModel` or `RNNSeq2SeqLM`; in any other the scores do
    not learn, and a warning says so.

    Differs from the paper: the credit goes by step, the loss may be any, and the entropy's gradient
    is that of each step's own entropy alone.

    Args:
        score: As in `HardAttention`.
        num_samples: As in `HardAttention`.
        baseline: `"moving_average"` of the loss; `"learned"`, a linear function of the query,
            trained beside the model; or None. It changes the variance alone.
        baseline_decay: Share of the moving average that a batch leaves as it is. In [0, 1).
        entropy_weight: Weight of the entropy of p, which is added to what is maximized. At least 0.
        credit: `"step"`, as above, or `"example"`, which charges a draw with the loss of the whole
            example. That is always right. "step" is for a decoder, whose output t depends on no
            later draw; it holds in an `AttentionRNN` where the loss has as many steps as the
            queries, and "example" takes its place elsewhere. Give "example" where a later layer
            mixes the steps: a bidirectional one, or a pooling whose result is repeated to as many
            steps again.
        soft_mixing: As in `HardAttention`.
        seed: As in `HardAttention`.

    Call arguments and returns: as in `HardAttention`.

    Raises:
        ValueError: As in `HardAttention`; if baseline or credit is unknown.

    Example:
        >>> attention = attnzoo.layers.ReinforceAttention("additive", units=7, baseline="learned")
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5; alignments of 0 and 1
        ((2, 3, 5), (2, 3, 11))

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), section 4.1.
        [Williams, 1992](https://doi.org/10.1007/BF00992696) (REINFORCE).
    """

    estimator = "reinforce"

    def __init__(
        self,
        score: Score | str = "additive",
        *,
        num_samples: int = 1,
        baseline: str | None = "moving_average",
        baseline_decay: float = 0.9,
        entropy_weight: float = 0.0,
        credit: str = "step",
        soft_mixing: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(
            score, num_samples=num_samples, soft_mixing=soft_mixing, seed=seed, **kwargs
        )
        check_choice(BASELINES, baseline=baseline)
        check_choice(CREDITS, credit=credit)
        check_rate(baseline_decay=baseline_decay)
        check_at_least(0, entropy_weight=entropy_weight)
        self.baseline = baseline
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self.credit = credit
        self._warned = False

    def build(self, query_shape, memory_shape):
        super().build(query_shape, memory_shape)
        if self.baseline == "moving_average":
            self.average_loss = self.add_variable("average_loss")
        if self.baseline == "learned":
            shape = (query_shape[-1], 1)
            self.baseline_kernel = self.add_variable("baseline_kernel", shape=shape, trainable=True)
            self.baseline_bias = self.add_variable("baseline_bias", shape=(1,), trainable=True)

    def draw_noise(self, prepared, steps):
        if not (is_collecting() or self._warned):
            self._warned = True
            warnings.warn(
                "The scores of this `ReinforceAttention` do not learn here: nobody charges its "
                "draws with a loss. Make the model an `attnzoo.models.ReinforceModel`, put "
                "`attnzoo.models.ReinforceMixin` before `keras.Model` in its bases, or use "
                "`GumbelSoftmaxAttention` or `StraightThroughAttention`.",
                stacklevel=2,
            )
        return super().draw_noise(prepared, steps)

    def draw(self, scores, noise, mask):
        return self.draw_hard(scores, noise, mask)

    # === The loss that draws are charged with ===

    @property
    def needs_training_pass(self) -> bool:  # type: ignore[override]  # A constant of the base.
        return is_collecting()

    def after_training(self, steps):
        """Hand in log p of all draws. All scores at once, so that the loop needs no gradient."""
        scores = self.scores(steps.query, steps.prepared)
        log_alignments = masked_log_softmax(scores, steps.prepared["mask"])  # [B, T, S]
        share = ops.stop_gradient(ops.cast(steps.alignments, scores.dtype))
        counts = ops.round(self.num_samples * share)
        log_probs = ops.sum(counts * log_alignments, axis=-1)  # [B, T]
        entropy = -ops.sum(ops.exp(log_alignments) * log_alignments, axis=-1)
        real = drawn = ops.ones_like(log_probs)
        if steps.query_mask is not None:
            real = drawn = ops.cast(steps.query_mask, real.dtype)
        if self.soft_mixing:
            drawn = real * (1.0 - ops.cast(steps.noise[:, :, 0], real.dtype))
        hand_in(
            Draws(
                layer=self,
                log_probs=log_probs * drawn,
                entropy=entropy * real,
                baseline=self.expected_loss(steps.query),
                drawn=drawn,
                real=real,
                causal=steps.causal,
            )
        )

    def expected_loss(self, query):
        """Return the loss that the baseline expects from each step on, float32 [B, T]."""
        query = ops.stop_gradient(ops.cast(query, "float32"))
        if self.baseline == "learned":
            kernel, bias = map(ops.convert_to_tensor, (self.baseline_kernel, self.baseline_bias))
            return (linear(query, kernel) + bias)[:, :, 0]
        expected = ops.zeros_like(query[:, :, 0])
        if self.baseline == "moving_average":
            expected = expected + ops.convert_to_tensor(self.average_loss)
        return expected

    def update_baseline(self, loss):
        """Take the mean loss of a batch, a scalar, into the moving average, if there is one."""
        if self.baseline == "moving_average":
            average = ops.convert_to_tensor(self.average_loss)
            moved = self.baseline_decay * average + (1.0 - self.baseline_decay) * loss
            self.average_loss.assign(ops.where(ops.isfinite(moved), moved, average))

    def get_config(self):
        return {
            **super().get_config(),
            "baseline": self.baseline,
            "baseline_decay": self.baseline_decay,
            "entropy_weight": self.entropy_weight,
            "credit": self.credit,
        }

"""Exact hard attention: one place a step, summed over all places that it may be."""

import keras

from attnzoo.layers.attention.soft import SoftAttention
from attnzoo.layers.output import MarginalLogits
from attnzoo.layers.scores.base import Score


@keras.saving.register_keras_serializable(package="attnzoo")
class ExactHardAttention(SoftAttention):
    """Hard attention of Wu et al., with the place of a step summed out of its output.

        alignments[b, t] = softmax over s of score(query[b, t], memory[b, s])
        p(y[b, t])       = sum over s of alignments[b, t, s] p(y[b, t] | query[b, t], memory[b, s])

    The alignments are the probabilities of the places. The sum is over the probabilities of a
    target, not over the memory: the second line is `MarginalLogits`, the output layer of this
    attention, which `RNNSeq2SeqLM` takes by itself. The sum over all alignments of a whole target
    is then the product of these sums, exactly, as long as the place of a step has no effect on a
    later step: the order is "after", and nothing is fed back.

    Steps and context are those of soft attention: the context is the mean of the memory.

    Args:
        score: As in `SoftAttention`; a named score takes its own arguments beside it.
        normalizer: As in `SoftAttention`.

    Call arguments and returns: as in `Attention`; Dv = Dm.

    Raises:
        ValueError: If the score or the normalizer is unknown, or arguments stand beside a score
            that has its own.

    Example:
        >>> cell = attnzoo.layers.AttentionCell(
        ...     keras.layers.LSTMCell(7), attnzoo.layers.ExactHardAttention(),
        ...     attend="after", output_attention=False)
        >>> outputs, alignments = attnzoo.layers.AttentionRNN(cell)(
        ...     inputs, memory, return_alignments=True)
        >>> output_layer = attnzoo.layers.MarginalLogits(43, hidden_dim=7)
        >>> output_layer(outputs, memory, alignments).shape  # B=2, T=3
        (2, 3, 43)

    References:
        [Wu et al., 2018](https://arxiv.org/abs/1808.10024), section 3.
    """

    marginal = True

    def __init__(self, score: Score | str = "bilinear", **kwargs):
        super().__init__(score, **kwargs)

    def make_output_layer(self, vocabulary_size: int, **kwargs):
        """Make the output layer of this attention; arguments as in `MarginalLogits`."""
        return MarginalLogits(vocabulary_size, **kwargs)

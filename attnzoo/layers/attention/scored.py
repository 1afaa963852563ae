"""The base of the attentions that compare query and memory by a score."""

from keras import ops

from attnzoo.layers.attention.base import Attention
from attnzoo.layers.lookup import get_score
from attnzoo.layers.scores.base import Score
from attnzoo.ops import combine_masks


class ScoredAttention(Attention):
    """Base of the attentions with a score.

    A subclass sets `score` in its constructor, by `make_score`. One with a state takes no mask over
    pairs: it sets `mask_pairs = Attention.mask_pairs`.
    """

    def make_score(self, score: Score | str, arguments: dict) -> Score:
        """Make the score of a name, or check an instance.

        Raises:
            ValueError: If the score is unknown or needs the alignments of the steps before, or
                arguments stand beside one that has its own.
        """
        if isinstance(score, str):
            arguments = {**arguments, "name": "score", "dtype": self.dtype_policy}
        made = get_score(score, **arguments)
        if made.needs_history:
            raise ValueError(made.missing_history() + f" Received: score={made!r}")
        return made

    def build(self, query_shape, memory_shape):
        if not self.score.built:
            self.score.build(query_shape, memory_shape)
        self.built = True

    def prepare(self, memory, memory_mask=None):
        return {
            "key": self.score.project(memory),  # [B, S, Dk]
            "value": memory,  # [B, S, Dm]
            "mask": combine_masks(memory_mask),  # [B, 1, S]
        }

    def mask_pairs(self, prepared, attention_mask):
        mask = prepared["mask"]
        if mask is not None:
            attention_mask = ops.logical_and(mask, attention_mask)
        return {**prepared, "mask": attention_mask}


def pop_layer_arguments(arguments: dict) -> dict:
    """Pop the arguments of the layer itself; the rest is for its score."""
    names = ("name", "dtype", "trainable")
    return {name: arguments.pop(name) for name in names if name in arguments}

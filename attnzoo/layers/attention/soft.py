"""Soft attention: the context is the expectation of the value under the alignments."""

import keras

from attnzoo.layers.attention.scored import ScoredAttention, pop_layer_arguments
from attnzoo.layers.scores.base import Score
from attnzoo.ops import get_normalizer, weighted_sum


@keras.saving.register_keras_serializable(package="attnzoo")
class SoftAttention(ScoredAttention):
    """Soft attention with any score.

        alignments[b, t] = softmax over s of score(query[b, t], memory[b, s])
        context[b, t]    = sum over s of alignments[b, t, s] memory[b, s]

    A sparse normalizer in place of the softmax gives most of a long memory no weight at all.

    Args:
        score: A `Score`, or the name of one: `"additive"` (also `"concat"`), `"bilinear"` (also
            `"general"`), `"dot"`, `"location"`. A named score takes its own arguments beside it.
        normalizer: How scores become alignments: `"softmax"`, or `"sparsemax"` or `"entmax15"`,
            which give exact zeros; see `attnzoo.ops`.

    Call arguments and returns: as in `Attention`; Dv = Dm.

    Raises:
        ValueError: If the score or the normalizer is unknown, or arguments stand beside a score
            that has its own.

    Example:
        >>> attention = attnzoo.layers.SoftAttention(score="additive", units=7)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, S=11, Dm=5
        ((2, 3, 5), (2, 3, 11))

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.1.
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044), section 4.2.
        [Martins and Astudillo, 2016](https://arxiv.org/abs/1602.02068) (sparsemax).
        [Peters et al., 2019](https://arxiv.org/abs/1905.05702) (entmax15).
    """

    def __init__(self, score: Score | str = "additive", *, normalizer: str = "softmax", **kwargs):
        super().__init__(**pop_layer_arguments(kwargs))
        self.score = self.make_score(score, kwargs)
        get_normalizer(normalizer)  # Raises if it is unknown.
        self.normalizer = normalizer

    def attend(self, query, prepared):
        scores = self.score.compare(query, prepared["key"])  # [B, T, S]
        alignments = get_normalizer(self.normalizer)(scores, prepared["mask"])
        return weighted_sum(alignments, prepared["value"]), alignments

    def get_config(self):
        score = keras.saving.serialize_keras_object(self.score)
        return {**super().get_config(), "score": score, "normalizer": self.normalizer}


@keras.saving.register_keras_serializable(package="attnzoo")
class BahdanauAttention(SoftAttention):
    """Soft attention with the additive score, as in Bahdanau et al.

        alignments[b, t] = softmax over s of v · tanh(W query[b, t] + U memory[b, s] + b)

    Args:
        units: Width of the hidden layer of the score, in features. At least 1.
        normalize: Whether v is weight-normalized; see `AdditiveScore`.
        normalizer: As in `SoftAttention`.

    Example:
        >>> attnzoo.layers.BahdanauAttention(units=7)(query, memory).shape  # B=2, T=3, Dm=5
        (2, 3, 5)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.1, appendix A.1.2.
    """

    def __init__(self, units: int, *, normalize: bool = False, **kwargs):
        super().__init__("additive", units=units, normalize=normalize, **kwargs)
        self.units = units
        self.normalize = normalize

    def get_config(self):
        config = {**super().get_config(), "units": self.units, "normalize": self.normalize}
        del config["score"]
        return config


@keras.saving.register_keras_serializable(package="attnzoo")
class LuongAttention(SoftAttention):
    """Soft attention with one of the scores of Luong et al.

        dot       scores[b, t, s] = query[b, t] · memory[b, s]
        general   scores[b, t, s] = query[b, t] · W memory[b, s]
        concat    scores[b, t, s] = v · tanh(W [query[b, t]; memory[b, s]])
        location  scores[b, t, s] = (W query[b, t])[s]

    Args:
        score: `"dot"`, `"general"`, `"concat"` or `"location"`. A score's own arguments stand
            beside it: `scale` for dot and general, `units` for concat, `max_length` for location.
        normalizer: As in `SoftAttention`.

    Raises:
        ValueError: If `score` is not one of the four.

    Example:
        >>> attnzoo.layers.LuongAttention(score="general")(query, memory).shape  # B=2, T=3, Dm=5
        (2, 3, 5)

    References:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), section 3.1.
    """

    SCORES = ("dot", "general", "concat", "location")
    decoder_order = "after"

    def __init__(self, score: str = "general", **kwargs):
        if score not in self.SCORES:
            raise ValueError(
                f"`score` must be one of {self.SCORES}; for any other score use `SoftAttention`. "
                f"Received: score={score!r}"
            )
        super().__init__(score, **kwargs)
        self.luong_score = score

    def get_config(self):
        arguments = self.score.get_config()
        names = ("scale", "units", "normalize", "max_length")
        own = {name: arguments[name] for name in names if name in arguments}
        return {**super().get_config(), "score": self.luong_score, **own}

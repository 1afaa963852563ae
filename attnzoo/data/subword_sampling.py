"""Subword regularization: the same text in other pieces, drawn anew in each epoch."""

from collections.abc import Sequence

import numpy as np

# Segmentations of a word, the most probable first, that may be drawn.
NUM_BEST = 64


class SubwordSampler:
    """Draws segmentations of texts from a unigram model, with probabilities that are smoothed.

    A unigram model gives each segmentation x of a text the probability P(x), the product of those
    of its pieces. Of the most probable segmentations one is drawn with

        p(x) = P(x)^alpha / sum_x' P(x')^alpha

    No piece goes beyond a word, so words are drawn one by one: a sentence can be any combination of
    the `NUM_BEST` most probable segmentations of each of its words.

    Differs from the paper: the best are found by word, not by sentence. A text that the tokenizer
    does not cut where words end stays as the tokenizer has it.

    Args:
        tokenizer: A `keras_hub.tokenizers.SentencePieceTokenizer` of a unigram model, such as
            `attnzoo.data.train_subword_tokenizer` gives.
        texts: Strings.
        alpha: Above 0. Large values keep to the best segmentation, small ones draw all alike; the
            paper has 0.1 to 0.5.

    Raises:
        ValueError: If `alpha` is not above 0, or the tokenizer has no unigram model.

    Example:
        >>> sampler = SubwordSampler(tokenizer, ["a small boat"], alpha=0.2)
        >>> sampler.draw(np.random.default_rng(0))  # a list of ids for each text

    References:
        [Kudo, 2018](https://arxiv.org/abs/1804.10959), equation 7 and section 3.2.
    """

    def __init__(self, tokenizer, texts: Sequence[str], *, alpha: float) -> None:
        check_alpha(alpha, name="alpha")
        self._processor = _unigram_model(tokenizer)
        self._alpha = alpha
        self._number_of = {}  # Of each unit: a word, or a text that stays as it is.
        self._ids, self._lengths, self._ends = [], [], []  # Of all segmentations of all units.
        self._means, self._variances = [], []  # Of the length in tokens, for each unit.
        texts = list(texts)
        units = [
            self._units(text, ids)
            for text, ids in zip(texts, tokenize_all(tokenizer, texts), strict=True)
        ]
        self._text_of = np.repeat(np.arange(len(units)), [len(row) for row in units])
        self._units_of = np.array([unit for row in units for unit in row], "int64")
        self._num_texts = len(texts)
        self._ids = np.concatenate([np.zeros(0, "int64"), *self._ids]).astype("int64")
        self._lengths = np.array(self._lengths, "int64")
        self._ends = np.concatenate([np.zeros(0), *self._ends])
        self._starts = np.cumsum(self._lengths) - self._lengths

    @property
    def usual_lengths(self) -> np.ndarray:
        """int64 [texts]: a standard deviation above the mean length of a draw, in tokens."""
        of_units = np.array([self._means, self._variances]).reshape(2, -1)[:, self._units_of]
        mean, variance = (
            np.bincount(self._text_of, weights=row, minlength=self._num_texts) for row in of_units
        )
        return np.ceil(mean + np.sqrt(variance) - 1e-6).astype("int64")

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """Draw a segmentation of each text: lists of ids, without special tokens."""
        places = generator.random(len(self._units_of))
        # Unit k has the ends of its segmentations in (k, k + 1].
        chosen = np.searchsorted(self._ends, self._units_of + places, side="right")
        lengths = self._lengths[chosen]
        before = np.cumsum(lengths) - lengths
        places = np.repeat(self._starts[chosen] - before, lengths) + np.arange(lengths.sum())
        of_texts = np.bincount(self._text_of, weights=lengths, minlength=self._num_texts)
        cuts = np.cumsum(of_texts.astype("int64"))[:-1]
        return [row.tolist() for row in np.split(self._ids[places], cuts)]

    def _units(self, text, ids):
        """Numbers of a text's words; of the text alone, where its ids are not those of words."""
        words = self._processor.Normalize(text).replace("\u2581", " ").split()
        units, best = [], []
        for word in words:
            if word not in self._number_of:
                self._add(word, self._segmentations(word))
            unit, first = self._number_of[word]
            units.append(unit)
            best += first
        if best == ids:
            return units
        if (text,) not in self._number_of:  # A tuple, so that it is no word.
            self._add((text,), [(ids, 0.0)])
        return [self._number_of[(text,)][0]]

    def _segmentations(self, word):
        """The best segmentations of a word: ids and log-probability of each."""
        found = self._processor.NBestEncodeAsIds(word, NUM_BEST)
        score = self._processor.GetScore  # Log-probability of a piece.
        return [(list(ids), sum(score(id) for id in ids)) for ids in found]

    def _add(self, unit, segmentations):
        number = len(self._number_of)
        self._number_of[unit] = (number, segmentations[0][0])
        scores = self._alpha * np.array([score for _, score in segmentations], "float64")
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        ends = weights.cumsum()
        ends[-1] = 1.0
        lengths = np.array([len(ids) for ids, _ in segmentations])
        self._ids += [ids for ids, _ in segmentations]
        self._lengths += lengths.tolist()
        self._ends.append(number + ends)
        self._means.append(weights @ lengths)
        self._variances.append(weights @ lengths**2 - self._means[-1] ** 2)


def check_alpha(alpha, *, name="subword_sampling"):
    """Raise unless it is the exponent of a distribution, or None."""
    if alpha is not None and not alpha > 0.0:
        raise ValueError(f"`{name}` must be above 0. Received: {name}={alpha}")


def tokenize_all(tokenizer, texts) -> list[list[int]]:
    """Ids of texts, without special tokens."""
    ids = tokenizer.tokenize(texts)
    ids = ids.to_list() if hasattr(ids, "to_list") else ids  # A tf.RaggedTensor
    return [list(map(int, row)) for row in ids]


def _unigram_model(tokenizer):
    """The SentencePiece model in a tokenizer."""
    import sentencepiece

    proto = getattr(tokenizer, "proto", None)
    if proto is not None:
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        try:
            processor.NBestEncodeAsIds("a", 2)
            return processor
        except RuntimeError:  # It has byte pairs.
            pass
    raise ValueError(
        "Segmentations are drawn from a SentencePiece unigram model, as "
        '`attnzoo.data.train_subword_tokenizer(texts, model="unigram")` trains one. '
        f"Received: tokenizer={tokenizer!r}"
    )

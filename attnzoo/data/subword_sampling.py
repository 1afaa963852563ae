"""Subword regularization: in each epoch a new random segmentation of the same text."""

import warnings
from collections.abc import Sequence

import keras
import numpy as np

# Number of the most probable segmentations of a word from which one is drawn.
NUM_BEST = 64


class SubwordSampler:
    """Draws segmentations of texts from a unigram model, with smoothed probabilities.

    A unigram model gives each segmentation x of a text the probability P(x), the product of the
    probabilities of its pieces. One of the most probable segmentations is drawn with

        p(x) = P(x)^alpha / sum_x' P(x')^alpha

    No piece crosses a word boundary, so each word is drawn independently: a sentence can be any
    combination of the `NUM_BEST` most probable segmentations of its words.

    Differs from the paper: the most probable segmentations are found by word, not by sentence. If
    the tokenizer does not segment a text word by word, as its model alone would, the text keeps the
    tokenizer's own pieces; a warning gives the number of such texts. Unknown and user-defined
    symbols are not split.

    Args:
        tokenizer: A `keras_hub.tokenizers.SentencePieceTokenizer` with a unigram model, for example
            from `attnzoo.data.train_subword_tokenizer`.
        texts: Strings. At least one.
        alpha: Above 0, and finite. Large values nearly always draw the best segmentation, small
            values draw almost uniformly; the paper has 0.1 to 0.5.

    Raises:
        ValueError: If `alpha` is out of range, `texts` is one string or empty, the tokenizer has no
            unigram model, or it segments no text as its model does.

    Example:
        >>> sampler = SubwordSampler(tokenizer, ["a small boat"], alpha=0.2)
        >>> sampler.draw(np.random.default_rng(0))  # a list of ids for each text

    References:
        [Kudo, 2018](https://arxiv.org/abs/1804.10959), equation 7 and section 3.2.
    """

    def __init__(
        self, tokenizer: keras.layers.Layer, texts: Sequence[str], *, alpha: float
    ) -> None:
        check_alpha(alpha, name="alpha")
        if isinstance(texts, (str, bytes)) or not len(texts):
            raise ValueError(f"`texts` must be several strings. Received: texts={texts!r}")
        texts = list(texts)
        vocabulary = _Units(_unigram_model(tokenizer))
        own = tokenize_all(tokenizer, texts)
        units = [vocabulary.of(text, ids) for text, ids in zip(texts, own, strict=True)]
        vocabulary.warn_kept(tokenizer, sum(map(bool, own)))
        self.own_lengths = np.array([len(ids) for ids in own])  # Of the tokenizer's own pieces.
        self._num_texts = len(texts)
        self._text_of = np.repeat(np.arange(len(units)), [len(row) for row in units])
        self._units_of = np.array([unit for row in units for unit in row], "int64")
        # The ids of all segmentations, grouped by unit, and the offsets of these ids.
        found = vocabulary.segmentations
        of_all = [ids for unit in found for ids, _ in unit]
        self._ids = np.array([id for ids in of_all for id in ids], "int64")
        self._lengths = np.array([len(ids) for ids in of_all], "int64")
        self._starts = self._lengths.cumsum() - self._lengths
        # The cumulative probabilities of unit k are in (k, k + 1], so that one array is sorted.
        counts = np.array([len(unit) for unit in found], "int64")
        self._last = counts.cumsum() - 1
        self._first = self._last - counts + 1
        smoothed = [_smooth([score for _, score in unit], alpha) for unit in found]
        self._ends = np.repeat(np.arange(len(found)), counts).astype("float64")
        self._ends += np.concatenate([np.zeros(0), *(row.cumsum() for row in smoothed)])
        lengths = np.split(self._lengths, self._last[:-1] + 1)[: len(found)]
        self._means = np.array([row @ of for row, of in zip(smoothed, lengths, strict=True)])
        squares = np.array([row @ of**2 for row, of in zip(smoothed, lengths, strict=True)])
        self._variances = np.maximum(squares - self._means**2, 0.0)

    @property
    def usual_lengths(self) -> np.ndarray:
        """int64 [texts]: the mean length of a draw plus one standard deviation, in tokens."""
        mean, variance = (
            np.bincount(self._text_of, of_units[self._units_of], self._num_texts)
            for of_units in (self._means, self._variances)
        )
        return np.ceil(mean + np.sqrt(variance) - 1e-6).astype("int64")

    def draw(self, generator: np.random.Generator) -> list[list[int]]:
        """Draw a segmentation of each text; return lists of ids, without special tokens."""
        units = self._units_of
        places = units + generator.random(len(units))
        chosen = np.searchsorted(self._ends, places, side="right")
        chosen = np.clip(chosen, self._first[units], self._last[units])  # In spite of rounding.
        lengths = self._lengths[chosen]
        before = lengths.cumsum() - lengths
        places = np.repeat(self._starts[chosen] - before, lengths) + np.arange(lengths.sum())
        of_texts = np.bincount(self._text_of, lengths, self._num_texts).astype("int64")
        return [row.tolist() for row in np.split(self._ids[places], of_texts.cumsum()[:-1])]


class _Units:
    """Words with segmentations to draw, and whole texts that keep the tokenizer's pieces."""

    def __init__(self, processor):
        self._processor = processor
        # Log-probability of each piece; 0 for symbols that are not learned pieces.
        self._scores = [processor.GetScore(id) for id in range(processor.GetPieceSize())]
        self._numbers = {}
        self._num_kept = 0  # Texts that keep the tokenizer's own pieces.
        self.segmentations = []  # Of each unit [(ids, log p)], best first.

    def of(self, text, ids):
        """Return the indices of a text's words, or of the text if `ids` differ from its words'."""
        words = self._processor.Normalize(text).replace("\u2581", " ").split()
        numbers = [self._number(word) for word in words]
        if [id for number in numbers for id in self.segmentations[number][0][0]] == ids:
            return numbers
        self._num_kept += 1
        return [self._add((text,), [(ids, 0.0)])]  # A tuple differs from every word.

    def warn_kept(self, tokenizer, count):
        """Warn if some of `count` texts keep their pieces; raise if all do."""
        if not self._num_kept:
            return
        if self._num_kept >= count:
            raise ValueError(
                "To draw pieces, a tokenizer must split texts word by word, as its unigram model "
                f"alone does. Received: tokenizer={tokenizer!r}, which splits no text so"
            )
        warnings.warn(
            f"{self._num_kept} of {count} texts keep the tokenizer's own pieces: it does not split "
            "them word by word, as its unigram model alone does.",
            stacklevel=4,
        )

    def _number(self, word):
        if word in self._numbers:
            return self._numbers[word]
        best = [list(ids) for ids in self._processor.NBestEncodeAsIds(word, NUM_BEST)]
        whole = self._whole(best[0])
        kept = [ids for ids in best if self._whole(ids) == whole]
        return self._add(word, [(ids, sum(self._scores[id] for id in ids)) for ids in kept])

    def _whole(self, ids):
        """Return the ids that are not learned pieces, which a draw must keep."""
        return [id for id in ids if self._scores[id] >= 0.0]

    def _add(self, unit, segmentations):
        if unit not in self._numbers:
            self._numbers[unit] = len(self.segmentations)
            self.segmentations.append(segmentations)
        return self._numbers[unit]


def _smooth(scores, alpha):
    """Return probabilities proportional to exp(scores) to the power of alpha."""
    scores = alpha * np.array(scores, "float64")
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def choose_ids(
    drawn: Sequence[list[int]], own: Sequence[list[int]], rows: Sequence[int], room: int
) -> list[list[int]]:
    """Return the drawn ids of texts, or their own ids if only these fit."""
    return [own[row] if len(own[row]) <= room < len(drawn[row]) else drawn[row] for row in rows]


def check_alpha(alpha: float, *, name: str = "subword_sampling"):
    """Raise unless `alpha` is above 0 and finite."""
    if not 0.0 < alpha < float("inf"):
        raise ValueError(f"`{name}` must be above 0, and finite. Received: {name}={alpha}")


def tokenize_all(tokenizer: keras.layers.Layer, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of texts, without special tokens."""
    ids = tokenizer.tokenize(texts)
    ids = ids.to_list() if hasattr(ids, "to_list") else ids  # A tf.RaggedTensor
    return [list(map(int, row)) for row in ids]


def _unigram_model(tokenizer):
    """Return the SentencePiece model in a tokenizer."""
    import sentencepiece

    proto = getattr(tokenizer, "proto", None)
    if proto is not None:
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        try:
            processor.NBestEncodeAsIds("a", 2)
            return processor
        except RuntimeError:  # It is a model of byte pairs.
            pass
    raise ValueError(
        "Segmentations are drawn from a SentencePiece unigram model, as "
        '`attnzoo.data.train_subword_tokenizer(texts, model="unigram")` trains one. '
        f"Received: tokenizer={tokenizer!r}"
    )

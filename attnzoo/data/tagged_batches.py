"""Batches of texts with a tag for each word, for a tagger."""

from collections.abc import Sequence

import keras

from attnzoo.data.text_batches import TextBatches


class TaggedBatches(TextBatches):
    """Tokenized texts and the tags of their words, for `fit` and `evaluate` of a token tagger.

    Order, lengths and sizes of batches are those of `LabelledBatches`.

    Args:
        texts: Strings of words. At least one.
        labels: The ids of each text's tags, one for each word, as `task.label_ids` gives them.
        preprocessor: The task's preprocessor. It tokenizes all words in the constructor, and packs
            each batch.
        **kwargs: As in `LabelledBatches`, without `subword_sampling`.

    Returns:
        Item i is `(x, y, sample_weight)`: the packed inputs, tags int32 [B, S], and weights
        float32 [B, S], 0 at tokens without a tag.

    Raises:
        ValueError: As in `LabelledBatches`; if a text has more or fewer tags than words, a word has
            no token, or `subword_sampling` is given.

    Example:
        >>> batches = attnzoo.data.TaggedBatches(
        ...     texts, task.label_ids(tags), task.preprocessor, batch_size=32, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[Sequence[int]],
        preprocessor: keras.layers.Layer,
        *,
        subword_sampling: float | None = None,
        **kwargs,
    ) -> None:
        if subword_sampling is not None:
            raise ValueError(
                "Words with tags keep the tokenizer's own pieces. "
                f"Received: subword_sampling={subword_sampling}"
            )
        texts, labels = list(texts), list(labels)
        if len(texts) != len(labels):
            raise ValueError(
                "There must be as many lists of tags as texts. "
                f"Received: {len(texts)} texts, {len(labels)} lists of tags"
            )
        super().__init__(texts, preprocessor, **kwargs)
        self._labels = labels
        self._rows = preprocessor.tokenize_words(texts, labels)

    @property
    def labels(self) -> list[Sequence[int]]:
        """The ids of all tags, in the order of the argument."""
        return self._labels

    def __getitem__(self, index):
        packed, tags, is_tagged = self._pack_all(self._planned(index))
        return packed, tags, is_tagged.astype("float32")

    def _pack(self, rows):
        return self._pack_all(rows)[0]

    def _pack_all(self, rows):
        longest = self._lengths[rows].max()
        length = self.preprocessor.length_of([[0] * longest], truncate="silent")
        chosen = {name: [values[row] for row in rows] for name, values in self._rows.items()}
        return self.preprocessor.pack_rows(chosen, length)

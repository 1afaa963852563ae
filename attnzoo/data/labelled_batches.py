"""Batches of labelled texts, for a classifier."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.data.text_batches import TextBatches


class LabelledBatches(TextBatches):
    """Tokenized texts and their labels, for `fit` and `evaluate` of a text classifier.

    A batch holds texts of similar length, and is padded as the preprocessor pads: to one of few
    lengths, for each of which a model is compiled. The epoch's order depends on `seed` and `epoch`
    alone. `fit` shuffles a dataset's batches once more, from Python's global random state, unless
    it is told `shuffle=False`: tell it so to see the same order again.

    Differs from the usual: the first batch has the shortest texts and the second has the longest.
    On TensorFlow, Keras takes from these two which sizes vary.

    Args:
        texts: Strings. At least one.
        labels: As many whole numbers: ids of classes, as `task.label_ids` gives them.
        preprocessor: The task's: it tokenizes all texts at once, now, and packs each batch.
        batch_size: Texts in a batch, with `max_tokens` the most texts. At least 1. None is 32, and
            with `max_tokens` any number.
        max_tokens: The most tokens in a batch, padding counted. At least as many as the longest
            text is padded to. None is no limit.
        shuffle: Whether each epoch has another order. Otherwise all have the same.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0: each epoch
            has other pieces of the same texts, or the tokenizer's own where these alone have room
            in a batch's shape. None is the tokenizer's own, always. Not for dev and test.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y)`: what the preprocessor packs, and int32 [B].

    Raises:
        ValueError: If there are no texts, one is empty, or too long for a preprocessor with
            `truncate="error"`, labels differ from them in number, a number is out of range, or
            pieces are to be drawn and the tokenizer has no unigram model.

    Example:
        >>> batches = attnzoo.data.LabelledBatches(
        ...     texts, task.label_ids(labels), task.preprocessor, batch_size=32, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
        >>> batches.epoch = 10  # after a restart: go on as if there had been none
        >>> task.fit(batches, initial_epoch=10, epochs=20, shuffle=False)
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[int],
        preprocessor: keras.layers.Layer,
        **kwargs,
    ) -> None:
        texts, labels = list(texts), list(labels)
        if len(texts) != len(labels):
            raise ValueError(
                "There must be as many labels as texts. "
                f"Received: {len(texts)} texts, {len(labels)} labels"
            )
        super().__init__(texts, preprocessor, **kwargs)
        self._labels = np.asarray(labels, "int32")

    @property
    def labels(self) -> np.ndarray:
        """The labels of all texts, int32 [number of texts], in the order they were given in."""
        return self._labels

    def __getitem__(self, index):
        rows = self._planned(index)
        return self._pack(rows), self._labels[rows]

"""Batches of labelled texts, for a classifier."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.data.text_batches import TextBatches


class LabelledBatches(TextBatches):
    """Tokenized texts and their labels, for `fit` and `evaluate` of a text classifier.

    A batch holds texts of similar length, and the preprocessor pads it to one of a few lengths;
    each length costs a compilation. The epoch's order depends on `seed` and `epoch` alone. By
    default `fit` shuffles a dataset's batches once more, from Python's global random state: pass
    `shuffle=False` to `fit` for a reproducible order.

    Differs from the usual: the first batch has the shortest texts and the second has the longest.
    On TensorFlow, Keras infers from these two which sizes vary.

    Args:
        texts: Strings. At least one.
        labels: One whole number for each text: ids of classes, as `task.label_ids` gives them.
        preprocessor: The task's preprocessor. It tokenizes all texts in the constructor, and packs
            each batch.
        batch_size: Texts in a batch; with `max_tokens` the largest number of texts. At least 1.
            None is 32, and with `max_tokens` no limit.
        max_tokens: Largest number of tokens in a batch, with padding counted. At least the padded
            length of the longest text. None is no limit.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0: each epoch
            draws other subword pieces of the same texts; a text whose draw does not fit the shape
            of its batch keeps the tokenizer's own pieces. None always takes the tokenizer's own
            pieces. Not for dev and test.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y)`: the packed inputs from the preprocessor, and labels int32 [B].

    Raises:
        ValueError: If there are no texts, a text is empty, or too long for a preprocessor with
            `truncate="error"`, the numbers of texts and labels differ, a number is out of range, or
            `subword_sampling` is given and the tokenizer has no unigram model.

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
        """The labels of all texts, int32 [number of texts], in the order of the argument."""
        return self._labels

    def __getitem__(self, index):
        rows = self._planned(index)
        return self._pack(rows), self._labels[rows]

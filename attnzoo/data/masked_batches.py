"""Batches of texts some of whose tokens are hidden, for a masked language model."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.data.text_batches import TextBatches


class MaskedBatches(TextBatches):
    """Tokenized texts with hidden tokens, for `fit` and `evaluate` of a masked language model.

    A batch holds texts of similar length, and is padded as the preprocessor pads: to one of few
    lengths, for each of which a model is compiled. The epoch's order, and what is hidden in it,
    depend on `seed` and `epoch` alone. `fit` shuffles a dataset's batches once more, from Python's
    global random state, unless it is told `shuffle=False`: tell it so to see the same order again.

    Differs from the usual: the first batch has the shortest texts and the second has the longest.
    On TensorFlow, Keras takes from these two which sizes vary.

    Args:
        texts: Strings. At least one.
        preprocessor: The task's, a `TransformerMaskedLMPreprocessor`: it tokenizes all texts at
            once, now, packs each batch, and says how much is hidden.
        batch_size: Texts in a batch, with `max_tokens` the most texts. At least 1. None is 32, and
            with `max_tokens` any number.
        max_tokens: The most tokens in a batch, padding counted. At least as many as the longest
            text is padded to. None is no limit.
        shuffle: Whether each epoch has another order and hides other tokens. Otherwise all are
            alike, but for pieces that are drawn, as it must be where epochs are to be compared.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0: each epoch
            has other pieces of the same texts, or the tokenizer's own where these alone have room
            in a batch's shape. None is the tokenizer's own, always. Not for dev and test.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)`, as the preprocessor gives them.

    Raises:
        ValueError: If there are no texts, one is empty, or too long for a preprocessor with
            `truncate="error"`, the preprocessor hides nothing, a number is out of range, or pieces
            are to be drawn and the tokenizer has no unigram model.

    Example:
        >>> batches = attnzoo.data.MaskedBatches(texts, task.preprocessor, batch_size=64, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
        >>> batches.epoch = 10  # after a restart: go on as if there had been none
        >>> task.fit(batches, initial_epoch=10, epochs=20, shuffle=False)
    """

    def __init__(self, texts: Sequence[str], preprocessor: keras.layers.Layer, **kwargs) -> None:
        if not hasattr(preprocessor, "hide_tokens"):
            raise ValueError(
                "`preprocessor` must hide tokens, as a `TransformerMaskedLMPreprocessor` does. "
                f"Received: preprocessor={preprocessor!r}"
            )
        super().__init__(texts, preprocessor, **kwargs)

    def __getitem__(self, index):
        packed = self._pack(self._planned(index))
        epoch = self.epoch if self.shuffle else 0
        return self.preprocessor.hide_tokens(
            packed, np.random.default_rng((self.seed, epoch, index))
        )

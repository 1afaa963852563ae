"""Batches of texts with masked tokens, for a masked language model."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.data.text_batches import TextBatches


class MaskedBatches(TextBatches):
    """Tokenized texts with masked tokens, for `fit` and `evaluate` of a masked language model.

    A batch holds texts of similar length, and the preprocessor pads it to one of a few lengths;
    each length costs a compilation. The epoch's order and its masked tokens depend on `seed` and
    `epoch` alone. By default `fit` shuffles a dataset's batches once more, from Python's global
    random state: pass `shuffle=False` to `fit` for a reproducible order.

    Differs from the usual: the first batch has the shortest texts and the second has the longest.
    On TensorFlow, Keras infers from these two which sizes vary.

    Args:
        texts: Strings. At least one.
        preprocessor: The task's `TransformerMaskedLMPreprocessor`. It tokenizes all texts in the
            constructor, packs each batch, and has the share of masked tokens.
        batch_size: Texts in a batch; with `max_tokens` the largest number of texts. At least 1.
            None is 32, and with `max_tokens` no limit.
        max_tokens: Largest number of tokens in a batch, with padding counted. At least the padded
            length of the longest text. None is no limit.
        shuffle: Whether each epoch has another order and other masked tokens. Otherwise all epochs
            have the same order and masked tokens, which a comparison of epochs needs; only the
            pieces of `subword_sampling` still vary.
        seed: At least 0.
        subword_sampling: The exponent alpha of `attnzoo.data.SubwordSampler`, above 0: each epoch
            draws other subword pieces of the same texts; a text whose draw does not fit the shape
            of its batch keeps the tokenizer's own pieces. None always takes the tokenizer's own
            pieces. Not for dev and test.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)` from the preprocessor.

    Raises:
        ValueError: If there are no texts, a text is empty, or too long for a preprocessor with
            `truncate="error"`, the preprocessor masks no tokens, a number is out of range, or
            `subword_sampling` is given and the tokenizer has no unigram model.

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

"""Preprocessor from words with tags to token ids with a tag at each word's first token."""

import keras
import numpy as np

from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.packing import as_lists


class TaggingPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads texts with a tag for each word.

    White space separates words, and each word is tokenized separately. The first token of a word
    has its tag, and its other tokens have none. The arguments are those of `EncoderPreprocessor`.

    Call arguments:
        x: A string of words, or strings.
        y: Tag ids for each string, one for each word; or None.
        sample_weight: Weights of the texts, [B], or None.

    Returns:
        x as in `EncoderPreprocessor`; with `y` `(x, y, sample_weight)`: y int32 [B, S], the tag
        ids, and sample_weight float32 [B, S], 0 at tokens without a tag.

    Raises:
        ValueError: As in `EncoderPreprocessor`; if a text has more or fewer tags than words, or a
            word has no token.
    """

    def call(
        self,
        x,
        y=None,
        sample_weight=None,
        *,
        sequence_length: int | None = None,
        truncate: str | None = None,
    ):
        packed, y, tagged = self.pack_words(
            x, y, sequence_length=sequence_length, truncate=truncate
        )
        if y is None:
            return packed
        return keras.utils.pack_x_y_sample_weight(packed, y, form().weigh(tagged, sample_weight))

    def pack_words(self, x, y=None, *, sequence_length=None, truncate=None):
        """Pack words, optionally with tags.

        Args:
            x, y, sequence_length, truncate: As in a call.

        Returns:
            The dict of `token_ids` and `padding_mask`; the tag ids int32 [B, S] or None; and bool
            [B, S], True at the first token of each word.
        """
        if not self.built:
            self.build(None)
        used = form()
        is_one, texts = used.as_batch(x)
        words = used.split_words(used.check_texts(texts))
        ids, firsts, counts = used.tokenize_words(self.tokenizer, words)
        tags = None
        if y is not None:
            tags = used.spread_tags([y] if is_one else y, words, firsts, counts)
        length = self.length_of(ids, sequence_length, truncate, is_one)
        packed = self.pack_tokens(ids, length)
        firsts = self.pack(firsts, length)[0] == 1
        tags = None if tags is None else self.pack(tags, length)[0]
        if is_one:
            packed = {name: value[0] for name, value in packed.items()}
            firsts, tags = firsts[0], None if tags is None else tags[0]
        return packed, tags, firsts

    def check_labels(self, texts, label_ids):
        """Raise unless each text has one tag for each word, and each word a token.

        A call checks this too, but in a graph only later, and with TensorFlow's error.
        """
        texts = eager.split_words(texts)
        for position, (words, row) in enumerate(zip(texts, label_ids, strict=True)):
            eager.check_as_many(words, row, position)
        # Distinct words are tokenized once; if one has no token, this finds the first text with it.
        different = sorted({word for words in texts for word in words})
        pieces = as_lists(self.tokenizer(different))
        if any(not np.size(ids) for ids in pieces):
            eager.tokenize_words(self.tokenizer, texts)

    def tokenize(self, texts):
        """Return ids of B texts, unpacked: lists; in a graph a `tf.RaggedTensor` [B, (S)]."""
        used = form()
        words = used.split_words(used.check_texts(texts))
        return used.tokenize_words(self.tokenizer, words)[0]

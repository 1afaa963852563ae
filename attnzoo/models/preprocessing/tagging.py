"""Preprocessor from words with tags to token ids with a tag at each word's first token."""

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.packing import as_lists


class TaggingPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads texts with a tag for each word.

    White space separates words, and each word is tokenized separately. The first token of a word
    has its tag, and its other tokens have none.

    Args:
        tokenizer: As in `EncoderPreprocessor`.
        word_length: Number of UTF-8 bytes of each word that a backbone with a `spelling_dim` reads:
            longer words are cut. At least 1. None is for other backbones.
        **kwargs: As in `EncoderPreprocessor`.

    Call arguments:
        x: A string of words, or strings.
        y: Tag ids for each string, one for each word; or None.
        sample_weight: Weights of the texts, [B], or None.

    Returns:
        x as in `EncoderPreprocessor`, with a `word_length` W also `word_bytes` int32 [B, S, W];
        with `y` `(x, y, sample_weight)`: y int32 [B, S], the tag ids, and sample_weight float32
        [B, S], 0 at tokens without a tag.

    Raises:
        ValueError: As in `EncoderPreprocessor`; if a text has more or fewer tags than words, or a
            word has no token.
    """

    packing_arguments = (*EncoderPreprocessor.packing_arguments, "word_length")

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        word_length: int | None = None,
        **kwargs,
    ):
        if word_length is not None:
            check_positive(word_length=word_length)
        super().__init__(tokenizer, **kwargs)
        self.word_length = word_length

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
            The dict of the backbone's inputs; the tag ids int32 [B, S] or None; and bool [B, S],
            True at the first token of each word.
        """
        is_one, texts = form().as_batch(x)
        rows = self.tokenize_words(texts, [y] if is_one and y is not None else y)
        length = self.length_of(rows["ids"], sequence_length, truncate, is_one)
        packed, tags, firsts = self.pack_rows(rows, length)
        if is_one:
            packed = {name: value[0] for name, value in packed.items()}
            firsts, tags = firsts[0], None if tags is None else tags[0]
        return packed, tags, firsts

    def tokenize_words(self, texts, label_ids=None) -> dict:
        """Tokenize the words of B texts, unpacked.

        Args:
            texts: Strings of words.
            label_ids: The ids of the tags of each text, or None.

        Returns:
            dict of rows for each text: `ids`; `firsts`, 1 at the first token of each word; with
            `label_ids` `tags`, the tag ids at these; and with a `word_length` `bytes`, the words'
            bytes at these. Lists; in a graph `tf.RaggedTensor`s.
        """
        if not self.built:
            self.build(None)
        used = form()
        words = used.split_words(used.check_texts(texts))
        ids, firsts, counts = used.tokenize_words(self.tokenizer, words)
        rows = {"ids": ids, "firsts": firsts}
        if label_ids is not None:
            rows["tags"] = used.spread_tags(label_ids, words, firsts, counts)
        if self.word_length is not None:
            rows["bytes"] = used.spell_words(words, firsts, counts, self.word_length)
        return rows

    def pack_rows(self, rows: dict, length):
        """Pack rows from `tokenize_words`, to `length` tokens; returns what `pack_words` does."""
        packed = self.pack_tokens(rows["ids"], length)
        firsts = self.pack(rows["firsts"], length)[0] == 1
        tags = self.pack(rows["tags"], length)[0] if "tags" in rows else None
        if self.word_length is not None:
            packed["word_bytes"] = form().pack_bytes(
                rows["bytes"],
                length,
                self.word_length,
                before=int(self.add_start),
                after=int(self.add_end),
            )
        return packed, tags, firsts

    def check_backbone(self, backbone):
        """Raise if the backbone and the preprocessor do not fit."""
        super().check_backbone(backbone)
        spells = getattr(backbone, "spelling_dim", None)
        if (spells is None) != (self.word_length is None):
            raise ValueError(
                "A backbone with a `spelling_dim` needs a preprocessor with a `word_length`, and "
                f"one without needs none. Received: spelling_dim={spells}, "
                f"word_length={self.word_length}"
            )

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

    def get_config(self):
        return {**super().get_config(), "word_length": self.word_length}

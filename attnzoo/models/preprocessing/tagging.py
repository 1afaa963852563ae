"""From words with tags to token ids with a tag at each word's first token."""

import keras
import numpy as np

from attnzoo.data.tokenizers import SymbolTokenizer, in_graph
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.input_checks import as_texts
from attnzoo.models.preprocessing.packing import as_batch, as_lists, as_ragged, weigh


class TaggingPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads words that have a tag each.

    White space separates words, and each word is tokenized for itself: with subwords, its first
    token has its tag, and the others have none. The arguments are those of `EncoderPreprocessor`.

    Call arguments:
        x: A string of words, or strings.
        y: As many tag ids as there are words, for each string; or None.
        sample_weight: Weights of the texts, [B], or None.

    Returns:
        x as `EncoderPreprocessor` gives it; with `y` `(x, y, sample_weight)`: y int32 [B, S], the
        tag ids, and sample_weight float32 [B, S], which is 0 where there is no tag.

    Raises:
        ValueError: As `EncoderPreprocessor`; and if a text has more or fewer tags than words, or a
            word gives no token.
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
        return keras.utils.pack_x_y_sample_weight(packed, y, weigh(tagged, sample_weight))

    def pack_words(self, x, y=None, *, sequence_length=None, truncate=None):
        """Pack words, perhaps with tags.

        Args:
            x, y, sequence_length, truncate: As in a call.

        Returns:
            The dict of `token_ids` and `padding_mask`; the tag ids int32 [B, S] or None; and bool
            [B, S], True at the first token of each word.
        """
        if not self.built:
            self.build(None)
        is_one, texts = as_batch(x)
        y = y if y is None or not is_one else [y]
        split = self._split_in_graph if in_graph() else self._split
        ids, firsts, tags = split(texts, y)
        length = self.length_of(ids, sequence_length, truncate, is_one)
        packed = self.pack_tokens(ids, length)
        firsts = self.pack(firsts, length)[0] == 1
        tags = None if tags is None else self.pack(tags, length)[0]
        if is_one:
            packed = {name: value[0] for name, value in packed.items()}
            firsts, tags = firsts[0], None if tags is None else tags[0]
        return packed, tags, firsts

    def check_tags(self, texts, tags):
        """Raise unless each text has as many tags as words, and each word a token.

        A call would find it too, but a graph only later, and with TensorFlow's error.
        """
        texts = split_words(texts)
        for position, (words, row) in enumerate(zip(texts, tags, strict=True)):
            _check_as_many(words, row, position)
        different = sorted({word for words in texts for word in words})
        pieces = as_lists(self.tokenizer(different))
        empty = {word for word, ids in zip(different, pieces, strict=True) if not np.size(ids)}
        for position, words in enumerate(texts if empty else []):
            for word in words:
                if word in empty:
                    _refuse_word(word, position)

    def tokenize(self, texts):
        """Ids of B texts, unpacked: lists of int; in a graph a `tf.RaggedTensor` [B, (S)]."""
        return (self._split_in_graph if in_graph() else self._split)(texts, None)[0]

    def _split(self, texts, y):
        """Of each text the ids; 1 at each word's first token, else 0; and the tags likewise."""
        texts = as_texts(texts)
        y = [None] * len(texts) if y is None else as_lists(y)
        all_ids, all_firsts, all_tags = [], [], []
        for position, (words, tags) in enumerate(zip(split_words(texts), y, strict=True)):
            pieces = [np.ravel(as_lists(piece)) for piece in as_lists(self.tokenizer(words))]
            for word, piece in zip(words, pieces, strict=True):
                if not len(piece):
                    _refuse_word(word, position)
            if tags is not None:
                _check_as_many(words, tags, position)
            all_ids.append([int(i) for piece in pieces for i in piece])
            all_firsts.append([int(n == 0) for piece in pieces for n in range(len(piece))])
            if tags is not None:
                all_tags.append(
                    [
                        int(tag) if n == 0 else 0
                        for tag, piece in zip(tags, pieces, strict=True)
                        for n in range(len(piece))
                    ]
                )
        return all_ids, all_firsts, all_tags or None

    def _split_in_graph(self, texts, y):
        import tensorflow as tf

        words = split_words(texts)  # [B, (W)]
        ids, firsts, lengths = tokenize_words(self.tokenizer, words)
        if y is None:
            return ids, firsts, None
        y = y if isinstance(y, tf.RaggedTensor) else as_ragged(tf.convert_to_tensor(y))
        as_many = tf.reduce_all(words.row_lengths() == y.row_lengths())
        message = "A text must have as many tags as words. Received words and tags:"
        given = [message, words.row_lengths(), y.row_lengths()]
        with tf.control_dependencies([tf.debugging.Assert(as_many, given)]):
            tags = tf.repeat(tf.cast(y.flat_values, tf.int32), lengths) * firsts.flat_values
        return ids, firsts, ids.with_flat_values(tags)


def _refuse_word(word, position):
    raise ValueError(
        f"A word must have at least one token. Received: {word!r} at position {position}. "
        "Take it out of the text, with its tag."
    )


def _check_as_many(words, tags, position):
    if not hasattr(tags, "__len__"):
        raise ValueError(
            "The tags of a text must be in a list, or in a string with white space between them. "
            f"Received: {tags!r} at position {position}"
        )
    if len(tags) != len(words):
        raise ValueError(
            "A text must have as many tags as words. Received: "
            f"{len(words)} words, {len(tags)} tags at position {position}"
        )


def tokenize_words(tokenizer, words):
    """In a graph, tokenize each word for itself.

    Args:
        tokenizer: A tokenizer.
        words: `tf.RaggedTensor` of strings [B, (W)].

    Returns:
        `tf.RaggedTensor`s [B, (S)] of the ids, and of 1 at the first token of each word, else 0;
        and how many tokens each word of all texts has.
    """
    import tensorflow as tf

    pieces = as_ragged(tokenizer(words.flat_values))  # [words of all texts, (P)]
    lengths = pieces.row_lengths()
    missing = tf.boolean_mask(words.flat_values, lengths == 0)
    message = "A word must have at least one token. Received:"
    with tf.control_dependencies([tf.debugging.Assert(tf.size(missing) == 0, [message, missing])]):
        ids = tf.identity(tf.cast(pieces.flat_values, tf.int32))
    splits = tf.gather(pieces.row_splits, words.row_splits)  # The texts', in tokens.
    ids = tf.RaggedTensor.from_row_splits(ids, splits)
    firsts = tf.cast(tf.ragged.range(lengths).flat_values == 0, tf.int32)
    return ids, ids.with_flat_values(firsts), lengths


def split_words(texts):
    """What white space separates.

    Args:
        texts: A list whose strings are split, and whose other items stay as they are; in a graph a
            tensor, of which a dense one of strings is split.

    Returns:
        A list of lists of strings; in a graph a `tf.RaggedTensor`.
    """
    if in_graph():
        import tensorflow as tf

        whole = not isinstance(texts, tf.RaggedTensor) and texts.dtype == tf.string
        return _SPLITTER.symbols(texts) if whole and texts.shape.rank < 2 else texts
    if isinstance(texts, (str, bytes)):
        return _SPLITTER.symbols(texts)
    return [split_words(one) if isinstance(one, (str, bytes)) else one for one in as_lists(texts)]


# A tokenizer without a vocabulary: it knows what white space is, in Python and in a graph.
_SPLITTER = SymbolTokenizer(name="words")

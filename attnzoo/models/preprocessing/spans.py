"""Preprocessor of questions and contexts, with answers as spans of characters or words."""

import operator

import keras
import numpy as np

from attnzoo.models.preprocessing import eager, graph
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.input_checks import as_texts, need_as_many
from attnzoo.models.preprocessing.packing import as_lists, need_some
from attnzoo.whitespace import WHITE_SPACE, find_spans


class SpanPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads pairs of a question and a context: `question [END] context [END]`.

    White space separates the words of a context, and each word is tokenized separately. An answer
    is a sequence of words, and the position of a word is that of its first token. The arguments are
    those of `EncoderPreprocessor`; truncation removes the end of the context. A call works on
    Python strings alone; `pack_in_graph` works in the graph of an export.

    Call arguments:
        x: Pairs of strings, `(question, context)`.
        y: For each pair `(start, end)`: the positions in the context of the answer's first
            character and of the character after its last; or None. A span that covers a part of a
            word selects the whole word.
        sample_weight: Weights of the pairs, [B], or None.

    Returns:
        x, a dict of `token_ids` int32 [B, S], `padding_mask` bool [B, S] and `span_mask` bool
        [B, S], True at the first token of each word of the context; with `y`
        `(x, y, sample_weight)`: y int32 [B, 2], the positions of the answer's first and last word;
        sample_weight float32 [B, 2], 0 if the answer was truncated.

    Raises:
        ValueError: As in `EncoderPreprocessor`; if a span is outside its context or holds no word,
            a question leaves no room for a context, a word has no token, or the numbers of spans
            and pairs differ.
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
        return self.pack_spans(
            x, y, sample_weight, sequence_length=sequence_length, truncate=truncate
        )

    def pack_spans(self, x, y=None, sample_weight=None, *, sequence_length=None, truncate=None):
        """Pack pairs, optionally with spans; see the class."""
        pairs = as_pairs(x)
        if not self.built:
            self.build(None)
        ids, firsts = self.tokenize_pairs(pairs)
        length = self.length_of(ids, sequence_length, truncate)
        span_mask = self.pack(firsts, length)[0] == 1
        packed = {**self.pack_tokens(ids, length), "span_mask": span_mask}
        if y is None:
            return packed
        need_as_many(pairs=pairs, spans=y)
        found = [
            find_words(context, span, f" at position {position}")
            for position, ((_, context), span) in enumerate(zip(pairs, as_lists(y), strict=True))
        ]
        places = np.zeros((len(pairs), 2), "int32")
        weight = np.zeros((len(pairs), 2), "float32")
        for row, words in enumerate(found):
            starts = np.flatnonzero(span_mask[row])
            if words[1] < len(starts):
                places[row], weight[row] = starts[list(words)], 1.0
        return keras.utils.pack_x_y_sample_weight(
            packed, places, eager.weigh(weight, sample_weight)
        )

    def pack_in_graph(self, questions, contexts) -> dict:
        """Pack questions and contexts, `tf.Tensor`s of strings [B], in a graph.

        Returns:
            dict with the values of a call, and `word_starts` and `word_ends` int32 [B, S]: at the
            first token of a word the positions in the context of its first character, and of the
            character after its last.
        """
        import tensorflow as tf

        if not self.built:
            self.build(None)
        words, *spans = find_words_in_graph(contexts)
        ids, firsts, lengths = graph.tokenize_words(self.tokenizer, words)
        bounds = [
            firsts.with_flat_values(tf.repeat(one.flat_values, lengths) * firsts.flat_values)
            for one in spans
        ]
        questions = tf.cast(self.tokenize(questions), tf.int32)
        one = tf.ones([questions.nrows(), 1], tf.int32)
        questions = tf.concat([questions, self.tokenizer.end_token_id * one], axis=1)
        ids = tf.concat([questions, ids], axis=1)
        length = self.length_of(ids)
        names = ("span_mask", "word_starts", "word_ends")
        marks = {
            name: self.pack(tf.concat([tf.zeros_like(questions), mark], axis=1), length)[0]
            for name, mark in zip(names, [firsts, *bounds], strict=True)
        }
        return {**self.pack_tokens(ids, length), **marks, "span_mask": marks["span_mask"] == 1}

    def check_texts(self, texts):
        """Raise if a pair is empty, or too long with `truncate="error"`."""
        if not self.built:
            self.build(None)
        ids, _ = self.tokenize_pairs(as_pairs(texts))
        if self.truncate == "error":
            self.length_of(ids)

    def tokenize_pairs(self, pairs):
        """Return each pair's ids, and 1 at the first token of each word of the context, else 0."""
        questions = self.tokenize([question for question, _ in pairs])
        all_ids, all_firsts = [], []
        for position, (question, (_, context)) in enumerate(zip(questions, pairs, strict=True)):
            room = self.sequence_length - self.add_start - self.add_end - 1
            if len(question) >= room:
                raise ValueError(
                    f"A question must leave room for a context in {self.sequence_length} tokens. "
                    f"Received: a question of {len(question)} tokens at position {position}"
                )
            words = [context[start:end] for start, end in find_spans(context)]
            pieces = [np.ravel(as_lists(piece)) for piece in as_lists(self.tokenizer(words))]
            for word, piece in zip(words, pieces, strict=True):
                if not len(piece):
                    raise ValueError(
                        "A word must have at least one token. "
                        f"Received: {word!r} in the context at position {position}. Take it out "
                        "of the context, and move the answer's span accordingly."
                    )
            question = [*question, self.tokenizer.end_token_id]
            all_ids.append([*question, *(int(i) for piece in pieces for i in piece)])
            firsts = [int(n == 0) for piece in pieces for n in range(len(piece))]
            all_firsts.append([0] * len(question) + firsts)
        return all_ids, all_firsts


def find_words_in_graph(contexts):
    """Return the words of contexts, a `tf.Tensor` of strings [B], in a graph.

    Returns:
        Three `tf.RaggedTensor`s [B, (W)]: each word, a string; the position of its first character,
        int32; and that of the character after its last, int32.
    """
    import tensorflow as tf

    characters = tf.strings.unicode_decode(contexts, "UTF-8")  # [B, (characters)]
    blank = tf.reduce_any(characters.flat_values[:, None] == [*map(ord, WHITE_SPACE)], axis=1)
    lengths = tf.cast(characters.row_lengths(), tf.int32)
    place = tf.ragged.range(lengths).flat_values
    after_blank = (place == 0) | tf.concat([[True], blank], axis=0)[:-1]
    before_blank = (place == tf.repeat(lengths, lengths) - 1) | tf.concat([blank, [True]], 0)[1:]

    def places_where(edge):
        edge = characters.with_flat_values(~blank & edge)
        return tf.ragged.boolean_mask(characters.with_flat_values(place), edge)

    starts, ends = places_where(after_blank), places_where(before_blank) + 1
    whole = tf.repeat(contexts, starts.row_lengths())
    size = ends.flat_values - starts.flat_values
    words = tf.strings.substr(whole, starts.flat_values, size, unit="UTF8_CHAR")
    return starts.with_flat_values(words), starts, ends


def find_words(context: str, span, place: str = "") -> tuple[int, int]:
    """Return the indices of the first and last word of a context that a span overlaps.

    Args:
        context: The context.
        span: Positions of the first character, and of the character after the last.
        place: Position of the span, for messages.

    Raises:
        ValueError: If the span is no pair of whole numbers, is outside the context, or holds no
            word.
    """
    try:
        start, end = (operator.index(one) for one in span)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "A span must be two whole numbers, (start, end): every answer stands in its context. "
            f"Received: {span!r} in {context!r}{place}"
        ) from error
    if not 0 <= start < end <= len(context):
        raise ValueError(
            "A span must lie in its context and hold a character: 0 <= start < end <= "
            f"{len(context)}. Received: start={start}, end={end} in {context!r}{place}"
        )
    words = [
        number
        for number, (left, right) in enumerate(find_spans(context))
        if left < end and right > start
    ]
    if not words:
        raise ValueError(
            f"A span must hold a word. Received: start={start}, end={end} in {context!r}{place}"
        )
    return words[0], words[-1]


def as_pairs(x) -> list[tuple[str, str]]:
    """Return questions with their contexts as pairs of strings; raise if they are invalid.

    Raises:
        ValueError: If there is no list of pairs or it is empty, or a question or a context is no
            string, or blank.
    """
    pairs = as_lists(x)
    if isinstance(pairs, (str, bytes, dict)) or not hasattr(pairs, "__iter__"):
        raise ValueError(
            "Pairs of strings, (question, context), must be in a list, one or more. "
            f"Received: {pairs!r}"
        )
    pairs = list(pairs)
    need_some("pair", pairs)
    for position, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                "Questions must be pairs of strings, (question, context). "
                f"Received: {pair!r} at position {position}"
            )
    asked, given = zip(*pairs, strict=True)
    questions, contexts = as_texts(asked, "question"), as_texts(given, "context")
    return list(zip(questions, contexts, strict=True))

"""Preprocessor of questions and contexts, with answers as spans of characters or units."""

import dataclasses
import operator
from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.models.preprocessing import eager, graph
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.input_checks import as_texts, need_as_many
from attnzoo.models.preprocessing.packing import as_lists, need_some
from attnzoo.models.preprocessing.span_units import (
    check_span_unit,
    find_units,
    find_units_in_graph,
    read_units,
)


@dataclasses.dataclass(frozen=True)
class SpanRows:
    """Pairs of a question and a context, or of a window of it, tokenized but not packed.

    Args:
        ids: Each row's ids, without special tokens at its ends.
        firsts: For each id 1 if an answer may begin or end there, else 0.
        pairs: The index of each row's pair.
        units: The index in the context of each row's first unit.
    """

    ids: list[list[int]]
    firsts: list[list[int]]
    pairs: list[int]
    units: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> "SpanRows":
        """Return some of the rows."""
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return SpanRows(*([values[row] for row in rows] for values in fields))


class SpanPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads pairs of a question and a context: `question [END] context [END]`.

    An answer is a sequence of units of the context, such as words. Each unit is tokenized
    separately, and its position is that of its first token. A call works on Python strings alone;
    `pack_in_graph` works in the graph of an export.

    Args:
        tokenizer, sequence_length, add_start, add_end, truncate: As in `EncoderPreprocessor`;
            truncation removes the end of the context.
        span_unit: Where an answer may begin and end: at `"words"`, which white space separates; at
            `"word_parts"`, which punctuation separates too, and each character of a script without
            blanks between words, such as Japanese; or at `"characters"`.
        stride: The number of tokens between the beginnings of two windows, if a context is too long
            for one row; at most the room that the question leaves. At least 1. None truncates the
            context.
        no_answer: Whether a context may lack the answer, as in SQuAD 2.0. The end token after the
            question then stands for "no answer".

    Call arguments:
        x: Pairs of strings, `(question, context)`.
        y: For each pair `(start, end)`: the positions in the context of the answer's first
            character and of the character after its last; with `no_answer` also None for no answer.
            A span that covers a part of a unit selects the whole unit. Or None.
        sample_weight: Weights of the pairs, [B], or None.

    Returns:
        x, a dict of `token_ids` int32 [R, S], `padding_mask` bool [R, S] and `span_mask` bool
        [R, S], True where an answer may begin and end: at the first token of each unit, and with
        `no_answer` at the end token after the question. R is B, or with `stride` the number of
        windows. With `y` `(x, y, sample_weight)`: y int32 [R, 2], the positions of the answer's
        first and last unit. If the row does not hold the answer, y is the position of "no answer";
        without `no_answer` the row has weight 0. sample_weight is float32 [R, 2].

    Raises:
        ValueError: As in `EncoderPreprocessor`; if the unit is unknown or `stride` is below 1; if a
            span is outside its context or holds no unit, a question leaves no room for a context, a
            unit has no token, or the numbers of spans and pairs differ.
    """

    def __init__(
        self,
        tokenizer,
        *,
        span_unit: str = "words",
        stride: int | None = None,
        no_answer: bool = False,
        **kwargs,
    ):
        check_span_unit(span_unit)
        if stride is not None:
            check_positive(stride=stride)
        super().__init__(tokenizer, **kwargs)
        self.span_unit = span_unit
        self.stride = stride
        self.no_answer = no_answer

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
        rows = self.make_rows(pairs)
        length = self.length_of(rows.ids, sequence_length, truncate)
        packed = self.pack_span_rows(rows, length)
        if y is None:
            return packed
        places, weight = self.place_spans(rows, packed["span_mask"], self.find_answers(pairs, y))
        if sample_weight is not None:
            sample_weight = np.asarray(as_lists(sample_weight), "float32")[rows.pairs]
        return keras.utils.pack_x_y_sample_weight(
            packed, places, eager.weigh(weight, sample_weight)
        )

    def make_rows(self, pairs, *, windows: bool = True) -> SpanRows:
        """Return the rows of pairs of strings, unpacked.

        Args:
            pairs: Valid pairs, from `as_pairs`.
            windows: Whether to split long contexts, if there is a `stride`.
        """
        if not self.built:
            self.build(None)
        all_ids, all_firsts, questions = self.tokenize_pairs(pairs)
        if self.stride is None or not windows:
            return SpanRows(all_ids, all_firsts, list(range(len(pairs))), [0] * len(pairs))
        found: list[tuple] = []
        for pair, row in enumerate(zip(all_ids, all_firsts, questions, strict=True)):
            found += [(*window, pair) for window in self._split(*row, self.stride)]
        ids, firsts, units, numbers = (list(column) for column in zip(*found, strict=True))
        return SpanRows(ids, firsts, numbers, units)

    def _split(self, ids, firsts, question: int, stride: int):
        """Yield ids, firsts and the index of the first unit of each window of a row.

        Args:
            ids, firsts: Of the whole row.
            question: The number of tokens of the question, with the end token.
            stride: Tokens between the beginnings of two windows.
        """
        room = self.sequence_length - self.add_start - self.add_end - question
        size, start = len(ids) - question, 0
        units = np.cumsum([0, *firsts[question:]])
        while True:
            window = slice(question + start, question + min(start + room, size))
            yield (
                ids[:question] + ids[window],
                firsts[:question] + firsts[window],
                int(units[start]),
            )
            if start + room >= size:
                return
            start += min(stride, room)

    def pack_span_rows(self, rows: SpanRows, length: int) -> dict:
        """Return the packed inputs of rows, padded to a length in tokens."""
        span_mask = self.pack(rows.firsts, length)[0] == 1
        return {**self.pack_tokens(rows.ids, length), "span_mask": span_mask}

    def find_answers(self, pairs, spans) -> list[tuple[int, int] | None]:
        """Return the first and last unit of each answer, or None for no answer."""
        spans = as_lists(spans)
        need_as_many(pairs=pairs, spans=spans)
        return [
            None
            if span is None and self.no_answer
            else find_answer(context, span, self.span_unit, f" at position {position}")
            for position, ((_, context), span) in enumerate(zip(pairs, spans, strict=True))
        ]

    def place_spans(self, rows: SpanRows, span_mask, answers):
        """Return the positions int32 [R, 2] of the answers' units, and weights float32 [R, 2].

        Args:
            rows: R rows.
            span_mask: bool [R, S], of the packed rows.
            answers: For each pair its answer's first and last unit, or None.
        """
        places = np.zeros((len(rows), 2), "int32")
        weight = np.zeros((len(rows), 2), "float32")
        for row, (pair, unit) in enumerate(zip(rows.pairs, rows.units, strict=True)):
            starts = np.flatnonzero(span_mask[row])[int(self.no_answer) :]
            answer = answers[pair]
            if answer is not None and unit <= answer[0] and answer[1] - unit < len(starts):
                places[row], weight[row] = starts[np.subtract(answer, unit)], 1.0
            elif self.no_answer:
                places[row], weight[row] = np.argmax(span_mask[row]), 1.0
        return places, weight

    def pack_in_graph(self, questions, contexts) -> dict:
        """Pack questions and contexts, `tf.Tensor`s of strings [B], in a graph, without windows.

        Returns:
            dict with the values of a call, and `word_starts` and `word_ends` int32 [B, S]: at the
            first token of a unit the positions in the context of its first character, and of the
            character after its last.
        """
        import tensorflow as tf

        if not self.built:
            self.build(None)
        units, *spans = find_units_in_graph(contexts, self.span_unit)
        ids, firsts, lengths = graph.tokenize_words(self.tokenizer, units)
        bounds = [
            firsts.with_flat_values(tf.repeat(one.flat_values, lengths) * firsts.flat_values)
            for one in spans
        ]
        questions = tf.cast(self.tokenize(questions), tf.int32)
        one = tf.ones([questions.nrows(), 1], tf.int32)
        no_answer = tf.concat([tf.zeros_like(questions), int(self.no_answer) * one], axis=1)
        questions = tf.concat([questions, self.tokenizer.end_token_id * one], axis=1)
        nowhere = tf.zeros_like(questions)
        ids = tf.concat([questions, ids], axis=1)
        length = self.length_of(ids)
        marks = {
            name: self.pack(tf.concat([before, mark], axis=1), length)[0]
            for name, before, mark in (
                ("span_mask", no_answer, firsts),
                ("word_starts", nowhere, bounds[0]),
                ("word_ends", nowhere, bounds[1]),
            )
        }
        return {**self.pack_tokens(ids, length), **marks, "span_mask": marks["span_mask"] == 1}

    def check_texts(self, texts):
        """Raise if a pair is empty, or too long with `truncate="error"`."""
        rows = self.make_rows(as_pairs(texts))
        if self.truncate == "error":
            self.length_of(rows.ids)

    def tokenize_pairs(self, pairs):
        """Return each pair's ids; 1 where an answer may begin and end, else 0; and the numbers of
        tokens of the questions, with the end token.
        """
        questions = self.tokenize([question for question, _ in pairs])
        all_ids, all_firsts, lengths = [], [], []
        for position, (question, (_, context)) in enumerate(zip(questions, pairs, strict=True)):
            room = self.sequence_length - self.add_start - self.add_end - 1
            if len(question) >= room:
                raise ValueError(
                    f"A question must leave room for a context in {self.sequence_length} tokens. "
                    f"Received: a question of {len(question)} tokens at position {position}"
                )
            units = read_units(context, self.span_unit)
            pieces = [np.ravel(as_lists(piece)) for piece in as_lists(self.tokenizer(units))]
            for unit, piece in zip(units, pieces, strict=True):
                if not len(piece):
                    raise ValueError(
                        "A word must have at least one token. "
                        f"Received: {unit!r} in the context at position {position}. Take it out "
                        "of the context, and move the answer's span accordingly."
                    )
            before = [0] * len(question) + [int(self.no_answer)]
            question = [*question, self.tokenizer.end_token_id]
            all_ids.append([*question, *(int(i) for piece in pieces for i in piece)])
            firsts = [int(n == 0) for piece in pieces for n in range(len(piece))]
            all_firsts.append(before + firsts)
            lengths.append(len(question))
        return all_ids, all_firsts, lengths

    def get_config(self):
        return {
            **super().get_config(),
            "span_unit": self.span_unit,
            "stride": self.stride,
            "no_answer": self.no_answer,
        }


def find_answer(context: str, span, span_unit: str = "words", place: str = "") -> tuple[int, int]:
    """Return the indices of the first and last unit of a context that a span overlaps.

    Args:
        context: The context.
        span: Positions of the first character, and of the character after the last.
        span_unit: As in `SpanPreprocessor`.
        place: Position of the span, for messages.

    Raises:
        ValueError: If the span is no pair of whole numbers, is outside the context, or holds no
            unit.
    """
    try:
        start, end = (operator.index(one) for one in span)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "A span must be two whole numbers, (start, end): every answer stands in its context, "
            f"unless `no_answer` is True. Received: {span!r} in {context!r}{place}"
        ) from error
    if not 0 <= start < end <= len(context):
        raise ValueError(
            "A span must lie in its context and hold a character: 0 <= start < end <= "
            f"{len(context)}. Received: start={start}, end={end} in {context!r}{place}"
        )
    units = [
        number
        for number, (left, right) in enumerate(find_units(context, span_unit))
        if left < end and right > start
    ]
    if not units:
        raise ValueError(
            f"A span must hold a word. Received: start={start}, end={end} in {context!r}{place}"
        )
    return units[0], units[-1]


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

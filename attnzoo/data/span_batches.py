"""Batches of questions with contexts and the spans of answers."""

from collections.abc import Sequence

import keras

from attnzoo.data.text_batches import TextBatches


class SpanBatches(TextBatches):
    """Tokenized questions and contexts, for `fit` and `evaluate` of a question answering task.

    A batch holds rows of similar length: pairs, or windows of long contexts if the preprocessor has
    a `stride`. The order is as in `LabelledBatches`.

    Args:
        pairs: Pairs of strings, `(question, context)`. At least one.
        spans: For each pair the answer's `(start, end)` in characters of the context; or None, if
            the preprocessor allows for no answer.
        preprocessor: The task's preprocessor. It tokenizes all pairs in the constructor, and packs
            each batch.
        batch_size: Rows in a batch; with `max_tokens` the largest number of rows. At least 1. None
            is 32, and with `max_tokens` no limit.
        max_tokens: Largest number of tokens in a batch, with padding counted. At least the padded
            length of the longest row. None is no limit.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)` as from the preprocessor.

    Raises:
        ValueError: If there are no pairs, the preprocessor refuses a pair or a span, the numbers of
            pairs and spans differ, or a number is out of range.

    Example:
        >>> questions = list(attnzoo.data.read_questions("train.jsonl"))
        >>> batches = attnzoo.data.SpanBatches(
        ...     [one.pair for one in questions], [one.span for one in questions],
        ...     task.preprocessor, batch_size=32, seed=7)
        >>> task.fit(batches, epochs=10, shuffle=False)
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        spans: Sequence,
        preprocessor: keras.layers.Layer,
        *,
        subword_sampling: None = None,
        **kwargs,
    ) -> None:
        if subword_sampling is not None:
            raise ValueError(
                "The pieces of a context are not drawn: the answer's position would change. "
                f"Received: subword_sampling={subword_sampling}"
            )
        pairs = list(pairs)
        self._answers = preprocessor.find_answers(pairs, list(spans))
        super().__init__(pairs, preprocessor, **kwargs)

    def _tokenize(self, texts):
        self._rows = self.preprocessor.make_rows(texts)
        return self._rows.ids

    def __getitem__(self, index):
        planned = self._planned(index)
        rows = self._rows.take(planned)
        length = self.preprocessor.length_of(rows.ids, truncate="silent")
        packed = self.preprocessor.pack_span_rows(rows, length)
        places, weight = self.preprocessor.place_spans(rows, packed["span_mask"], self._answers)
        return packed, places, weight

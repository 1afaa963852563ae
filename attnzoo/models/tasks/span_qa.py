"""Base of extractive question answering: the first and last unit of an answer in a context."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.span_units import find_units
from attnzoo.models.preprocessing.spans import as_pairs
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.batch_sizes import split_rows

# Logit of positions where no answer may start or end: probability 0, within float16's range.
_NOWHERE = -1e4


class SpanQATask(Task, keras_hub.models.Task):
    """Base of question answering: each answer is a sequence of units, such as words, of a context.

    A subclass makes `output_dense` with `make_span_layer`, and may define `head`.
    """

    targets_name = "Spans"
    text_kinds = ()  # A dataset has packed ids.
    output_dense: keras.layers.Layer

    def span_logits(self, outputs, inputs: dict):
        """Return the logits float [B, 2, S] of the first and last unit.

        Args:
            outputs: float [B, S, D].
            inputs: The model's inputs.
        """
        logits = ops.transpose(self.output_dense(outputs), (0, 2, 1))  # [B, 2, S]
        is_unit = ops.cast(inputs["span_mask"], "bool")[:, None, :]
        return ops.where(is_unit, logits, _NOWHERE)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, 2, S] of the first and last unit."""
        return {"logits": self.span_logits(outputs, inputs)}

    # === Training ===

    def make_loss(self, label_smoothing: float):
        """Return the loss that "auto" stands for; labels cannot be smoothed."""
        if label_smoothing:
            raise ValueError(
                "There is no probability to spread over where no answer may be. "
                f"Received: label_smoothing={label_smoothing}"
            )
        return super().make_loss(label_smoothing)

    def fit(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Pairs of strings, `(question, context)`; or a `keras.utils.PyDataset` whose batches
                are ids already, such as `attnzoo.data.SpanBatches`.
            y: For each pair the answer's `(start, end)`: positions in the context of its first
                character, and of the character after its last; or None, if the preprocessor
                allows for no answer.
            batch_size: Number of rows in a batch, if `x` is no dataset; 32 if None. A pair is a
                row, or as many as its context has windows.
            **kwargs: As in `Task.fit`: `epochs`, `shuffle`, `sample_weight` (of pairs),
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If a text is empty, a span is outside its context, there are no spans, or
                the numbers of spans and pairs differ.
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Return packed pairs, and their spans in units."""
        x, y, sample_weight = super().make_samples(x, y, sample_weight)
        if self.preprocessor is None:
            return x, y, sample_weight
        return self.preprocessor.pack_spans(x, y, sample_weight)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Return packed pairs; pairs that are packed already are returned unchanged."""
        if isinstance(x, dict) or self.preprocessor is None:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return self.preprocessor(x, y, sample_weight)

    def predict(self, x, batch_size: int | None = None, **kwargs):
        """Return the logits of rows, like `keras.Model.predict`; `x` is as in `fit`.

        See `answer`.
        """
        return super().predict(x, batch_size=batch_size, **kwargs)

    def make_predict_samples(self, x):
        """Return all pairs packed together: the logits of all batches must have one length."""
        if self.preprocessor is None or isinstance(x, dict):
            self.check_token_ids(x)
            return x
        return self.preprocessor(self.check_inputs(x))

    def check_inputs(self, pairs):
        """Return pairs of strings, or without a preprocessor the backbone's inputs, if valid."""
        if self.preprocessor is None:
            return super().check_inputs(pairs)
        pairs = as_pairs(pairs)
        self.preprocessor.check_texts(pairs)
        return pairs

    def pack_texts(self, texts) -> dict:
        """Return packed pairs, a row for each: a context that is too long is truncated."""
        rows = self.preprocessor.make_rows(as_pairs(texts), windows=False)
        return self.preprocessor.pack_span_rows(rows, self.preprocessor.length_of(rows.ids))

    # === Answers ===

    def answer(
        self,
        pairs,
        *,
        max_words: int | None = None,
        return_spans: bool = False,
        batch_size: int = 32,
    ):
        """Return the most probable answer to each question.

        If the preprocessor splits contexts into windows, the probabilities are over the units of
        all windows together, and of "no answer" the least probable window counts.

        Args:
            pairs: Pairs of strings, `(question, context)`.
            max_words: Largest number of units in an answer, or None for any number. At least 1.
            return_spans: Whether to also return the answers' positions and probabilities.
            batch_size: Number of rows in a batch. At least 1.

        Returns:
            A list of strings, each a part of its context, or "" for no answer. With `return_spans`
            a dict of `"answers"`, these; `"spans"`, a list of `(start, end)` in characters of the
            context, (0, 0) for no answer; and `"probabilities"` float32 [B], the probability of the
            first unit times that of the last.

        Raises:
            ValueError: If there is no preprocessor, a text is empty, or `max_words` is below 1.
        """
        if self.preprocessor is None:
            raise ValueError(
                "Questions can be answered only with a preprocessor. Received: preprocessor=None"
            )
        check_max_words(max_words)
        pairs = self.check_inputs(pairs)
        windows = self._read_windows(pairs, batch_size)
        spans, chances = [], []
        for (_, context), of_pair in zip(pairs, windows, strict=True):
            none = [logits[:, 0] for _, logits in of_pair] if self.preprocessor.no_answer else []
            texts = [(unit, logits[:, len(none) > 0 :]) for unit, logits in of_pair]
            best, chance = best_span(texts, none, max_words)
            units = find_units(context, self.preprocessor.span_unit)
            spans.append((0, 0) if best is None else (units[best[0]][0], units[best[1]][1]))
            chances.append(chance)
        answers = [
            context[start:end] for (_, context), (start, end) in zip(pairs, spans, strict=True)
        ]
        if not return_spans:
            return answers
        return {"answers": answers, "spans": spans, "probabilities": np.array(chances, "float32")}

    def _read_windows(self, pairs, batch_size):
        """Return for each pair a list of (first unit, logits [2, units]), one for each window."""
        rows = self.preprocessor.make_rows(pairs)
        windows: list[list[tuple]] = [[] for _ in pairs]
        for chosen in split_rows(len(rows), batch_size):
            part = rows.take(range(*chosen.indices(len(rows))))
            packed = self.preprocessor.pack_span_rows(part, self.preprocessor.length_of(part.ids))
            scores = self.read_on_batch(packed, "read_scores")["scores"]
            for pair, unit, row, mask in zip(
                part.pairs, part.units, scores, packed["span_mask"], strict=True
            ):
                windows[pair].append((unit, row[:, mask]))
        return windows

    def read_scores(self, inputs: dict) -> dict:
        """Return `read` with the logits as `scores`, which are not turned into probabilities."""
        return {"scores": self.read(inputs)["logits"]}

    def inputs_of(self, method: str) -> list[str]:
        """Return the names of the inputs of a method such as `read`."""
        return list(self.input if method == "read_scores" else super().inputs_of(method))


def make_span_layer(backbone) -> keras.layers.Layer:
    """Return the layer for the logits of the first and last unit."""
    return keras.layers.Dense(
        2, name="span_logits", dtype=policy_for(backbone.dtype_policy, "span_logits")
    )


def check_max_words(max_words):
    """Raise if the limit is below 1."""
    if max_words is not None and max_words < 1:
        raise ValueError(f"`max_words` must be at least 1. Received: max_words={max_words}")


def best_span(windows, none=(), max_words: int | None = None):
    """Return the most probable answer over the windows of a context.

    Args:
        windows: For each window the index of its first unit, and logits float [2, W] of the first
            and the last unit.
        none: For each window the logits float [2] of "no answer"; empty if there is an answer.
        max_words: Largest number of units in an answer, or None.

    Returns:
        The first and last unit, or None for no answer; and the probability.
    """
    absent = min(none, key=sum) if len(none) else None
    everything = [logits for _, logits in windows]
    if absent is not None:
        everything.append(np.reshape(absent, (2, 1)))
    joined = np.concatenate(everything, axis=1).astype("float64")
    peak = joined.max(axis=1, keepdims=True)
    total = peak + np.log(np.exp(joined - peak).sum(axis=1, keepdims=True))
    best, chance = None, 0.0
    if absent is not None:
        chance = float(np.exp(np.sum(absent - total[:, 0])))
    for first_unit, logits in windows:
        if not logits.shape[1]:  # A window within one long unit.
            continue
        both = span_probabilities(np.exp(logits - total), max_words)
        i, j = np.unravel_index(both.argmax(), both.shape)
        if both[i, j] > chance:
            best, chance = (first_unit + int(i), first_unit + int(j)), float(both[i, j])
    return best, chance


def span_probabilities(probabilities, max_words: int | None = None):
    """Return the probability of each answer, by its first and last unit.

    Args:
        probabilities: float [2, W], of the first and of the last unit.
        max_words: Largest number of units in an answer, or None.

    Returns:
        float [W, W], 0 if there is no such answer.
    """
    first, last = probabilities
    both = np.triu(first[:, None] * last[None, :])
    return both if max_words is None else np.tril(both, max_words - 1)

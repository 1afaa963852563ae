"""Serving spec of question answering: the most probable words of a context."""

import numpy as np

from attnzoo.export.specs.text import TextSpec, pad_rows
from attnzoo.models.preprocessing.span_units import find_units
from attnzoo.models.tasks.span_qa import SpanQATask, check_max_words, span_probabilities


class SpanQASpec(TextSpec):
    """A SavedModel that answers questions.

    With `inputs="text"` the signature takes `question` and `context`, string [B] each, and gives,
    besides `token_ids` and `tokens` as `TextSpec` says,

    - `answers`: string [B], each a part of its context;
    - `spans`: int32 [B, 2], positions in the context of the answer's first character, and of the
      character after its last;
    - `probabilities`: float32 [B], the probability of the first word times that of the last.

    The answer is "" with probability 0 if a context has no word, or if the question leaves no room
    for it; the live model refuses both. If the preprocessor allows for no answer, "" stands for
    that too, with its probability.

    With `inputs="ids"` it takes `token_ids`, int32 [B, S], and `span_mask`, bool [B, S], True at
    the first token of each word of the context, and gives `probabilities`, and `spans` as the token
    positions of the answer's first and last word.

    Args:
        task, inputs, return_alignments: As in `TextSpec`.
        max_words: Largest number of words in an answer, or None for any number. At least 1.

    Raises:
        ValueError: If `max_words` is below 1, or texts would be split into windows.
    """

    task_cls = SpanQATask
    kind = "span_qa"
    id_inputs = ("token_ids", "span_mask")

    def __init__(
        self, task, inputs, *, return_alignments: bool = False, max_words: int | None = None
    ):
        super().__init__(task, inputs, return_alignments=return_alignments)
        check_max_words(max_words)
        preprocessor = task.preprocessor
        if inputs == "text" and preprocessor.stride is not None:
            raise ValueError(
                "An exported graph truncates contexts, and does not split them into windows: set "
                '`task.preprocessor.stride = None`, or give `inputs="ids"`, a row for each window. '
                f"Received: stride={preprocessor.stride}"
            )
        # Without a preprocessor the graph cannot know which position stands for no answer.
        self.no_answer = preprocessor is not None and preprocessor.no_answer
        self.max_words = max_words
        self.options["max_words"] = max_words

    def signature(self):
        import tensorflow as tf

        if self.inputs == "text":
            names = ("question", "context")
            return {name: tf.TensorSpec([None], tf.string, name=name) for name in names}
        return {
            **super().signature(),
            "span_mask": tf.TensorSpec([None, None], tf.bool, name="span_mask"),
        }

    def pack_text(self, given):
        packed = self.task.preprocessor.pack_in_graph(given["question"], given["context"])
        return {**packed, "context": given["context"]}

    def graph_outputs(self, results):
        import tensorflow as tf

        probabilities, span_mask = results["probabilities"], results["span_mask"]
        word = tf.cumsum(tf.cast(span_mask, tf.int32), axis=1)
        apart = word[:, None, :] - word[:, :, None]  # [B, S, S]
        allowed = span_mask[:, :, None] & span_mask[:, None, :] & (apart >= 0)
        if self.max_words is not None:
            allowed &= apart < self.max_words
        if self.no_answer:  # The first position goes with itself alone.
            is_none = word == 1
            allowed &= is_none[:, :, None] == is_none[:, None, :]
        both = probabilities[:, 0, :, None] * probabilities[:, 1, None, :]
        batch, length = tf.unstack(tf.shape(span_mask))
        both = tf.reshape(tf.where(allowed, both, 0.0), [batch, length * length])
        best = tf.argmax(both, axis=1, output_type=tf.int32)
        spans = tf.stack([best // length, best % length], axis=1)  # [B, 2]
        outputs = {"probabilities": tf.reduce_max(both, axis=1), "spans": spans}
        if self.inputs == "text":
            edges = tf.stack([results["word_starts"], results["word_ends"]], axis=1)  # [B, 2, S]
            spans = tf.gather(edges, spans, batch_dims=2)
            outputs["spans"] = spans
            outputs["answers"] = tf.strings.substr(
                results["context"], spans[:, 0], spans[:, 1] - spans[:, 0], unit="UTF8_CHAR"
            )
        return outputs

    def to_inputs(self, texts):
        """Return pairs of a short question and each text as its context."""
        return [(texts[1 % len(texts)], text) for text in texts]

    def make_feeds(self, verify):
        return {
            "question": [question for question, _ in verify],
            "context": [context for _, context in verify],
        }

    def pack_live(self, verify):
        if self.task.preprocessor is not None:
            return super().pack_live(verify)
        packed = super().pack_live([token_ids for token_ids, _ in verify])
        return {**packed, "span_mask": pad_rows([mask for _, mask in verify], 0) == 1}

    def sample(self):
        if self.task.preprocessor is not None:
            return super().sample()
        return [(row, [0, *[1] * (len(row) - 1)]) for row in super().sample()]

    def live_outputs(self, results, verify):
        outputs = {"probabilities": [], "spans": [], "chances": [], "edges": [], "pair": verify}
        for pair, chances, span_mask in zip(
            verify, results["probabilities"], results["span_mask"], strict=True
        ):
            both = span_probabilities(chances[:, span_mask.astype(bool)], self.max_words)
            if self.no_answer:
                both[0, 1:] = 0.0
            if self.inputs == "text":
                units = find_units(pair[1], self.task.preprocessor.span_unit)
                edges = np.array([(0, 0)] * self.no_answer + units, "int32")  # [W, 2]
            else:
                edges = np.repeat(np.flatnonzero(span_mask)[:, None], 2, axis=1)
            i, j = np.unravel_index(both.argmax(), both.shape)
            outputs["probabilities"].append(both[i, j])
            outputs["spans"].append([edges[i, 0], edges[j, 1]])
            outputs["chances"].append(both)
            outputs["edges"].append(edges[: len(both)])  # Words beyond these were truncated.
        return outputs

    def expected(self, live, row, exported):
        """Return the live model's row, with the exported answer if it is as probable."""
        expected = super().expected(live, row, exported)
        chances, edges, pair = (expected.pop(name) for name in ("chances", "edges", "pair"))
        first, last = (np.flatnonzero(edges[:, n] == exported["spans"][n]) for n in range(2))
        if first.size and last.size:
            chance = chances[first[0], last[0]]
            if abs(chance - expected["probabilities"]) <= self.tolerance:
                expected["spans"] = exported["spans"]
        if self.inputs == "text":
            start, end = expected["spans"]
            expected["answers"] = np.array(pair[1][start:end])
        return expected

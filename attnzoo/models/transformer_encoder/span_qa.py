"""Extractive question answering: the first and last word of an answer in a context."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.spans import as_pairs, find_spans
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.reading import read_texts
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.preprocessor import TransformerSpanQAPreprocessor

# Logit of positions where no answer may start or end: probability 0, within float16's range.
_NOWHERE = -1e4


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSpanQA(Task, keras_hub.models.Task):
    """Extractive question answering: the answer is a sequence of words of the context.

        p_start[b, s] = softmax over the words s of the context of u · output[b, s]
        p_end[b, s]   = softmax over the words s of the context of v · output[b, s]
        answer        = the words i..j, i <= j, with the largest p_start[i] p_end[j]

    Differs from BERT: an answer has whole words; a context that is too long is truncated, not split
    into windows; only the end token between them separates question and context.

    Args:
        backbone: A `TransformerEncoderBackbone`.
        preprocessor: A `TransformerSpanQAPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs, and `span_mask` bool [B, S]: True where a word of the context starts.

    Returns:
        float [B, 2, S]. Logits of the positions of the answer's first and last word.

    Raises:
        ValueError: If the tokenizer has more tokens than the backbone, or texts may be longer than
            the table of a learned position.

    Example:
        >>> task = attnzoo.models.TransformerSpanQA(backbone, preprocessor)
        >>> pairs = [("who sings", "the old bird sings")]
        >>> task.fit(pairs, [(4, 12)], epochs=100)
        >>> task.answer(pairs)
        ['old bird']

    References:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 4.2.
        [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250).
    """

    backbone_cls = TransformerEncoderBackbone
    preprocessor_cls = TransformerSpanQAPreprocessor
    targets_name = "Spans"
    text_kinds = ()  # A dataset has packed ids.

    def __init__(
        self,
        backbone: TransformerEncoderBackbone,
        preprocessor: TransformerSpanQAPreprocessor | None = None,
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_dense = keras.layers.Dense(
            2, name="span_logits", dtype=policy_for(backbone.dtype_policy, "span_logits")
        )

        # === Functional Model ===
        span_mask = keras.Input((None,), dtype="bool", name="span_mask")
        inputs = {**backbone.input, "span_mask": span_mask}
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, 2, S] of the first and last word."""
        logits = ops.transpose(self.output_dense(outputs), (0, 2, 1))  # [B, 2, S]
        is_word = ops.cast(inputs["span_mask"], "bool")[:, None, :]
        return {"logits": ops.where(is_word, logits, _NOWHERE)}

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
                are ids already.
            y: For each pair the answer's `(start, end)`: positions in the context of its first
                character, and of the character after its last.
            batch_size: Number of pairs in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `Task.fit`: `epochs`, `shuffle`, `sample_weight` (of pairs),
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If a text is empty, a span is outside its context, there are no spans, or
                the numbers of spans and pairs differ.
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Return packed pairs, and their spans in words."""
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
        """Return the logits, like `keras.Model.predict`; `x` is as in `fit`. See `answer`."""
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

        Args:
            pairs: Pairs of strings, `(question, context)`.
            max_words: Largest number of words in an answer, or None for any number. At least 1.
            return_spans: Whether to also return the answers' positions and probabilities.
            batch_size: Number of pairs in a batch. At least 1.

        Returns:
            A list of strings, each a part of its context. With `return_spans` a dict of
            `"answers"`, these; `"spans"`, a list of `(start, end)` in characters of the context;
            and `"probabilities"` float32 [B], the probability of the first word times that of the
            last.

        Raises:
            ValueError: If there is no preprocessor, a text is empty, or `max_words` is below 1.
        """
        if self.preprocessor is None:
            raise ValueError(
                "Questions can be answered only with a preprocessor. Received: preprocessor=None"
            )
        check_max_words(max_words)
        pairs = self.check_inputs(pairs)
        results = read_texts(self, pairs, batch_size)
        spans, chances = [], []
        for (_, context), probabilities, span_mask in zip(
            pairs, results["probabilities"], results["span_mask"], strict=True
        ):
            both = span_probabilities(probabilities, span_mask, max_words)
            i, j = np.unravel_index(both.argmax(), both.shape)
            words = find_spans(context)
            spans.append((words[i][0], words[j][1]))
            chances.append(both[i, j])
        answers = [
            context[start:end] for (_, context), (start, end) in zip(pairs, spans, strict=True)
        ]
        if not return_spans:
            return answers
        return {"answers": answers, "spans": spans, "probabilities": np.array(chances, "float32")}


def check_max_words(max_words):
    """Raise if the limit is below 1."""
    if max_words is not None and max_words < 1:
        raise ValueError(f"`max_words` must be at least 1. Received: max_words={max_words}")


def span_probabilities(probabilities, span_mask, max_words: int | None = None):
    """Return the probability of each answer, by its first and last word.

    Args:
        probabilities: float [2, S], of the first and of the last word.
        span_mask: bool [S], True where a word of the context starts.
        max_words: Largest number of words in an answer, or None.

    Returns:
        float [W, W], 0 if there is no such answer.
    """
    first, last = probabilities[:, span_mask.astype(bool)]  # [W] words each
    both = np.triu(first[:, None] * last[None, :])
    return both if max_words is None else np.tril(both, max_words - 1)

"""Extractive question answering with a recurrent encoder that looks at the question."""

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_rate
from attnzoo.layers.lookup import get_attention
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.parts.rnn_cells import make_encoder
from attnzoo.models.rnn_encoder.backbone import RNNEncoderBackbone
from attnzoo.models.rnn_encoder.preprocessor import RNNSpanQAPreprocessor
from attnzoo.models.tasks.reading import read_texts
from attnzoo.models.tasks.span_qa import SpanQATask, make_span_layer
from attnzoo.ops.matches import ngram_matches


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSpanQA(SpanQATask):
    """Extractive question answering: each token of the context looks at the question.

        h       = the backbone's outputs
        a[s]    = attention of token s over the tokens of the question
        m[n, s] = 1 if token s is part of an n-gram of the question
        g       = recurrent layer over [h; a; h * a; m]
        p_start, p_end = as in `TransformerSpanQA`, of g

    A simple form of BiDAF (attention from the context to the question, and a layer over both) with
    FastQA's word-in-question feature. Differs from both: question and context are one sequence, so
    that the encoder has read the question before the context; the last unit does not depend on the
    first.

    Args:
        backbone: An `RNNEncoderBackbone`.
        preprocessor: An `RNNSpanQAPreprocessor`, or None to work on token ids.
        attention: Attention over the question: an `Attention` without state, or its name.
        match_ngrams: The largest n of the matches m; 0 has none. At least 0.
        dropout: Probability of dropping a feature before the last recurrent layer and after it. In
            [0, 1).

    Call arguments:
        The backbone's inputs, and `span_mask` bool [B, S]: True where a unit of the context starts.

    Returns:
        float [B, 2, S]. Logits of the positions of the answer's first and last unit.

    Raises:
        ValueError: If a number is out of range, the attention has a state, or the tokenizer has
            more tokens than the backbone.

    Example:
        >>> task = attnzoo.models.RNNSpanQA(backbone, preprocessor)
        >>> pairs = [("who sings", "the old bird sings")]
        >>> task.fit(pairs, [(4, 12)], epochs=100)
        >>> task.answer(pairs)
        ['old bird']

    References:
        [Seo et al., 2016](https://arxiv.org/abs/1611.01603) (BiDAF).
        [Weissenborn et al., 2017](https://arxiv.org/abs/1703.04816) (FastQA).
    """

    backbone_cls = RNNEncoderBackbone
    preprocessor_cls = RNNSpanQAPreprocessor

    def __init__(
        self,
        backbone: RNNEncoderBackbone,
        preprocessor: RNNSpanQAPreprocessor | None = None,
        *,
        attention="luong_general",
        match_ngrams: int = 3,
        dropout: float = 0.0,
        **kwargs,
    ):
        check_rate(dropout=dropout)
        check_at_least(0, match_ngrams=match_ngrams)
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)
        policy = backbone.dtype_policy

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        named = {}
        if isinstance(attention, str):
            named = {
                "name": "question_attention",
                "dtype": policy_for(policy, "question_attention"),
            }
        self.question_attention = get_attention(attention, backbone.hidden_dim, **named)
        memory_shape = (None, None, backbone.hidden_dim)
        if keras.tree.flatten(self.question_attention.state_spec(memory_shape)):
            raise ValueError(
                "`attention` must have no state: the tokens of a context look at the question at "
                f"once. Received: attention={attention!r}"
            )
        self.match_dropout = keras.layers.Dropout(
            dropout, name="match_dropout", dtype=policy_for(policy, "match_dropout")
        )
        self.match_encoder = make_encoder(
            cell=backbone.cell,
            hidden_dim=backbone.hidden_dim,
            num_layers=1,
            bidirectional=backbone.bidirectional,
            dropout=0.0,
            recurrent_dropout=backbone.recurrent_dropout,
            dtype=policy_for(policy, "match_encoder"),
        )
        self.output_dropout = keras.layers.Dropout(
            dropout, name="output_dropout", dtype=policy_for(policy, "output_dropout")
        )
        self.output_dense = make_span_layer(backbone)

        # === Config ===
        self.attention = attention
        self.match_ngrams = match_ngrams
        self.dropout = dropout

        # === Functional Model ===
        span_mask = keras.Input((None,), dtype="bool", name="span_mask")
        inputs = {**backbone.input, "span_mask": span_mask}
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, 2, S] of the first and last unit."""
        question, context = split_rows_at_context(inputs)
        attended = self.question_attention(outputs, outputs, memory_mask=question)
        matches = [
            ngram_matches(inputs["token_ids"], question, context, n)
            for n in range(1, self.match_ngrams + 1)
        ]
        features = [outputs, attended, outputs * attended]
        features += [ops.cast(match, outputs.dtype)[:, :, None] for match in matches]
        features = self.match_dropout(ops.concatenate(features, axis=-1))
        matched, _ = self.match_encoder(features, mask=inputs["padding_mask"])
        return {"logits": self.span_logits(self.output_dropout(matched), inputs)}

    def read_alignments(self, inputs: dict) -> dict:
        """Return a dict of the alignments of tokens with those of the question, [B, S, S]."""
        outputs = self.backbone({name: inputs[name] for name in self.backbone.input})
        outputs = outputs["sequence_output"]
        question, context = split_rows_at_context(inputs)
        _, alignments = self.question_attention(
            outputs, outputs, memory_mask=question, return_alignments=True
        )
        if len(alignments.shape) == 4:  # With heads.
            alignments = ops.mean(alignments, axis=1)
        return {"alignments": alignments * ops.cast(context, alignments.dtype)[:, :, None]}

    def inputs_of(self, method: str) -> list[str]:
        """Return the names of the inputs of a method such as `read`."""
        return list(self.input)

    def alignments(self, texts, *, batch_size: int = 32):
        """Return the alignments of each context with its question.

        Args:
            texts: Pairs of strings, `(question, context)`; without a preprocessor, the model's
                inputs.
            batch_size: Number of pairs in a batch. At least 1.

        Returns:
            float32 [B, S, S], a NumPy array: `alignments[b, t, s]` is the weight of the question's
            token s for the context's token t, the mean of all heads. Other rows and columns are 0.
            A context that is too long is truncated.

        Raises:
            ValueError: If there is no pair, or a text is empty.
        """
        return read_texts(self, texts, batch_size, "read_alignments")["alignments"]

    def get_config(self):
        attention = self.attention
        if not isinstance(attention, str):
            attention = keras.saving.serialize_keras_object(self.question_attention)
        return {
            **super().get_config(),
            "attention": attention,
            "match_ngrams": self.match_ngrams,
            "dropout": self.dropout,
        }


def split_rows_at_context(inputs: dict):
    """Return the masks bool [B, S] of the question's tokens, and of the context's.

    The first position of `span_mask` is the first of the context, or the end token before it.
    """
    padding_mask = ops.cast(inputs["padding_mask"], "bool")
    begun = ops.cumsum(ops.cast(inputs["span_mask"], "int32"), axis=1) > 0
    return padding_mask & ops.logical_not(begun), padding_mask & begun

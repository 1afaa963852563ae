"""Extractive question answering with a Transformer: one layer on each of its vectors."""

import keras

from attnzoo.models.tasks.span_qa import SpanQATask, make_span_layer
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.preprocessor import TransformerSpanQAPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSpanQA(SpanQATask):
    """Extractive question answering: the answer is a sequence of words of the context.

        p_start[b, s] = softmax over the words s of the context of u · output[b, s]
        p_end[b, s]   = softmax over the words s of the context of v · output[b, s]
        answer        = the words i..j, i <= j, with the largest p_start[i] p_end[j]

    The preprocessor says what a word is, whether a long context is split into windows, and whether
    there may be no answer.

    Differs from BERT: an answer has whole words; only the end token between them separates question
    and context, and it stands for no answer.

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
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), sections 4.2 and 4.3.
        [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250).
    """

    backbone_cls = TransformerEncoderBackbone
    preprocessor_cls = TransformerSpanQAPreprocessor

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
        self.output_dense = make_span_layer(backbone)

        # === Functional Model ===
        span_mask = keras.Input((None,), dtype="bool", name="span_mask")
        inputs = {**backbone.input, "span_mask": span_mask}
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

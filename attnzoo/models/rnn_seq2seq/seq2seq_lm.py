"""The task: training on pairs of strings, generation, alignments, and export."""

import keras

from attnzoo.models.parts.recurrent_decoder import set_coverage_loss
from attnzoo.models.parts.recurrent_layers import connect_output_layer, make_output_layer
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone
from attnzoo.models.rnn_seq2seq.preprocessor import RNNSeq2SeqLMPreprocessor
from attnzoo.models.tasks.seq2seq import Seq2SeqTask


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqLM(Seq2SeqTask):
    """Sequence transduction with a recurrent encoder and a recurrent decoder with attention.

    Args:
        backbone: An `RNNSeq2SeqBackbone`.
        preprocessor: An `RNNSeq2SeqLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next target token. With a pointer-generator [B, T, V + S]:
        the last S are symbols of the source outside the vocabulary, by their first position.

    Raises:
        ValueError: If a tokenizer has more tokens than the backbone, or only one of backbone and
            preprocessor has a pointer-generator.

    Example:
        >>> task = attnzoo.models.RNNSeq2SeqLM(backbone, preprocessor)
        >>> task.fit(["cat", "hat"], ["K AE T", "HH AE T"], epochs=100)
        >>> task.generate(["that"])
        ['HH AE T']
        >>> task.alignments({"encoder_text": ["cat"], "decoder_text": ["K AE T"]}).shape
        (1, 4, 4)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473).
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025).
        [See et al., 2017](https://arxiv.org/abs/1704.04368) (pointer-generator).
    """

    backbone_cls = RNNSeq2SeqBackbone
    preprocessor_cls = RNNSeq2SeqLMPreprocessor
    _asked_coverage_loss = None

    def __init__(
        self,
        backbone: RNNSeq2SeqBackbone,
        preprocessor: RNNSeq2SeqLMPreprocessor | None = None,
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_layer = make_output_layer(backbone)

        # === Functional Model ===
        outputs = connect_output_layer(backbone, self.output_layer)
        super().__init__(inputs=backbone.input, outputs=outputs, **kwargs)

    def check_loss(self, loss, label_smoothing: float):
        """Raise if labels are smoothed for a pointer-generator."""
        smoothing = label_smoothing or getattr(loss, "smoothing", 0.0)
        if self.backbone.pointer_generator and smoothing:
            raise ValueError(
                "A pointer-generator gives most ids of a batch no probability, so labels cannot be "
                "smoothed over them: use `label_smoothing=0`. Received: "
                f"label_smoothing={smoothing}"
            )

    def set_coverage_loss(self, weight):
        """Set the weight of the coverage loss of each attention with coverage."""
        set_coverage_loss(self.backbone, weight)
        self._asked_coverage_loss = weight

    def task_compile_config(self):
        """Return the part of the compile config that is specific to this task."""
        return {**super().task_compile_config(), "coverage_loss": self._asked_coverage_loss}

    def encode(self, inputs):
        """Return the memory float [B, S, D], and the decoder cell's first states."""
        return self.backbone.encode_source(inputs)

    def decode(self, inputs, encoded=None):
        """Return logits float [B, T, V] and alignments float [B, T, S], teacher-forced."""
        encoded = self.encode(inputs) if encoded is None else encoded
        return self.backbone.decode(self.output_layer, inputs, encoded)

    def prepare_decoding(self, inputs, with_alignments: bool, encoded=None):
        """Return what depends on the source alone, and the cache before the first step."""
        encoded = self.encode(inputs) if encoded is None else encoded
        return self.backbone.prepare_decoding(self.output_layer, inputs, encoded, with_alignments)

    def bind_next(self, prepared, hypotheses: int | None = None):
        """Return the function `next` that decodes one step, for a prepared source."""
        return self.backbone.bind_next(self.output_layer, prepared, hypotheses)

"""The task: training on pictures and captions, generation, alignments over the grid."""

import keras

from attnzoo.models.image_captioner.backbone import ImageCaptionerBackbone
from attnzoo.models.image_captioner.preprocessor import ImageCaptionerPreprocessor
from attnzoo.models.parts.recurrent_decoder import set_coverage_loss
from attnzoo.models.parts.recurrent_layers import connect_output_layer, make_output_layer
from attnzoo.models.tasks.seq2seq import Seq2SeqTask


@keras.saving.register_keras_serializable(package="attnzoo")
class ImageCaptioner(Seq2SeqTask):
    """Captions of pictures, by a recurrent decoder with attention ("Show, Attend and Tell").

    It is used as `RNNSeq2SeqLM` is, with pictures as sources: paths of files, pictures of Pillow,
    or arrays [H, W, C], uint8 in [0, 255] or float in [0, 1]. Alignments have the two axes of the
    grid in place of one, [B, T, H', W'].

    With `attention="hard"` the decoder looks at one place a step, and learns where by REINFORCE.

    Args:
        backbone: An `ImageCaptionerBackbone`.
        preprocessor: An `ImageCaptionerPreprocessor`, or None to work on arrays and token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next token of the caption.

    Raises:
        ValueError: If the tokenizer has more tokens than the backbone, or the preprocessor makes
            pictures of another shape.

    Example:
        >>> task = attnzoo.models.ImageCaptioner(backbone, preprocessor)
        >>> task.fit(["flag.png", "judge.png"], ["a red flag", "a judge"], epochs=100)
        >>> task.generate(["flag.png"])
        ['a red flag']
        >>> task.alignments((["flag.png"], ["a red flag"])).shape  # With the end token.
        (1, 4, 8, 8)

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044).
    """

    backbone_cls = ImageCaptionerBackbone
    preprocessor_cls = ImageCaptionerPreprocessor
    text_kinds = (None, "target")  # The sources are no texts.
    _asked_coverage_loss = None

    def __init__(
        self,
        backbone: ImageCaptionerBackbone,
        preprocessor: ImageCaptionerPreprocessor | None = None,
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

    def set_coverage_loss(self, weight):
        """Set the weight of the coverage loss of each attention with coverage."""
        set_coverage_loss(self.backbone, weight)
        self._asked_coverage_loss = weight

    def task_compile_config(self):
        """Return the part of the compile config that is specific to this task."""
        return {**super().task_compile_config(), "coverage_loss": self._asked_coverage_loss}

    def encode(self, inputs):
        """Return the places of the grid float [B, S, D], and the decoder cell's first states."""
        return self.backbone.encode_source(inputs)

    def decode(self, inputs, encoded=None):
        """Return logits float [B, T, V] and alignments float [B, T, S], teacher-forced."""
        encoded = self.encode(inputs) if encoded is None else encoded
        return self.backbone.decode(self.output_layer, inputs, encoded)

    def prepare_decoding(self, inputs, with_alignments: bool, encoded=None):
        """Return what depends on the picture alone, and the cache before the first step."""
        encoded = self.encode(inputs) if encoded is None else encoded
        return self.backbone.prepare_decoding(self.output_layer, inputs, encoded, with_alignments)

    def bind_next(self, prepared, hypotheses: int | None = None):
        """Return the function `next` that decodes one step, for a prepared picture."""
        return self.backbone.bind_next(self.output_layer, prepared, hypotheses)

    def arrange_places(self, alignments):
        """Return alignments [B, T, S] as [B, T, H', W'], the places as they lie in the picture."""
        return alignments.reshape(*alignments.shape[:-1], *self.backbone.grid_size)

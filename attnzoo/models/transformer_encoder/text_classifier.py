"""Text classifier: the Transformer encoder, pooling, and a layer for the classes."""

import keras

from attnzoo.checks import check_rate
from attnzoo.models.parts.pooling import make_pooling
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.tasks.labelled import make_class_layers
from attnzoo.models.tasks.text_classifier import TextClassifierTask
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.preprocessor import TransformerTextClassifierPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerTextClassifier(TextClassifierTask):
    """Text classification with a Transformer encoder.

    A preset of a masked language model is a good start: see `from_preset`.

    Args:
        backbone: A `TransformerEncoderBackbone`.
        preprocessor: A `TransformerTextClassifierPreprocessor`, or None to work on token ids.
        class_names: The names of the classes, in the order of ids; or None for numeric labels.
        num_classes: Number of classes, if they have no names. At least 1.
        pooling: Pooling of a text's vectors into one: `"mean"`; `"first"`, for a preprocessor with
            `add_start=True`; or `"attention"`, an `AttentivePooling` of one hop.
        dropout: Probability of dropping a feature of the pooled vector. In [0, 1).

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, C]. Logits of the classes.

    Raises:
        ValueError: If a number is out of range, the pooling is unknown, both `class_names` and
            `num_classes` are missing, the tokenizer has more tokens than the backbone, or texts may
            be longer than the table of a learned position.

    Example:
        >>> task = attnzoo.models.TransformerTextClassifier(
        ...     backbone, preprocessor, class_names=["negative", "positive"])
        >>> task.fit(["a good film", "a bad film"], ["positive", "negative"], epochs=100)
        >>> task.classify(["good"])
        ['positive']
        >>> task.alignments(["a good film"]).shape  # L=3 blocks, N=4 heads, four tokens.
        (1, 3, 4, 4, 4)

    References:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 4.1.
    """

    backbone_cls = TransformerEncoderBackbone
    preprocessor_cls = TransformerTextClassifierPreprocessor
    head_arguments = ("pooling",)
    alignments_method = "read_with_alignments"

    def __init__(
        self,
        backbone: TransformerEncoderBackbone,
        preprocessor: TransformerTextClassifierPreprocessor | None = None,
        *,
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        pooling: str = "mean",
        dropout: float = 0.0,
        **kwargs,
    ):
        check_rate(dropout=dropout)

        # === Layers ===
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.labels = ClassLabels(class_names, num_classes)
        self.pool = make_pooling(pooling, backbone)
        self.output_dropout, self.output_dense = make_class_layers(
            backbone, self.num_classes, dropout, "class_logits"
        )

        # === Functional Model ===
        inputs = backbone.input
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

        # === Config ===
        self.pooling = pooling
        self.dropout = dropout

    def read_with_alignments(self, inputs: dict) -> dict:
        """Return logits, and the alignments of all blocks and heads, float [B, L, N, S, S]."""
        outputs, alignments = self.encode_with_alignments(inputs)
        return {**self.head(outputs, inputs), "alignments": alignments}

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling, "dropout": self.dropout}

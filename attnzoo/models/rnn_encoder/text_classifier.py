"""Text classifier: a recurrent encoder, attentive pooling, and a layer for the classes."""

import keras

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers import AttentivePooling
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.rnn_encoder.backbone import RNNEncoderBackbone
from attnzoo.models.rnn_encoder.preprocessor import RNNTextClassifierPreprocessor
from attnzoo.models.tasks.labelled import make_class_layers
from attnzoo.models.tasks.text_classifier import TextClassifierTask


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNTextClassifier(TextClassifierTask):
    """Text classification with a recurrent encoder and attentive pooling.

    One hop is the word attention of Yang et al.; several hops, with a penalty that keeps them
    apart, are the structured self-attention of Lin et al.

    Differs from the papers: a text is one sequence of words, without a level of sentences; one
    layer computes the logits from the pooled vector.

    Args:
        backbone: An `RNNEncoderBackbone`.
        preprocessor: An `RNNTextClassifierPreprocessor`, or None to work on token ids.
        class_names: The names of the classes, in the order of ids; or None for numeric labels.
        num_classes: Number of classes, if they have no names. At least 1.
        attention_units: Width of the scoring layer, in features; None is the backbone's
            `hidden_dim`.
        num_hops: H, the number of views of a text. At least 1.
        penalty: Weight of the loss that keeps hops apart. At least 0.
        normalizer: `"softmax"`, `"sparsemax"` or `"entmax15"`.
        dropout: Probability of dropping a feature of the pooled vector. In [0, 1).

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, C]. Logits of the classes.

    Raises:
        ValueError: If a number is out of range, both `class_names` and `num_classes` are missing,
            or the tokenizer has more tokens than the backbone.

    Example:
        >>> task = attnzoo.models.RNNTextClassifier(
        ...     backbone, preprocessor, class_names=["negative", "positive"])
        >>> task.fit(["a good film", "a bad film"], ["positive", "negative"], epochs=100)
        >>> task.classify(["good"])
        ['positive']
        >>> task.alignments(["a good film"]).shape  # One hop; three words and the end token.
        (1, 1, 4)

    References:
        [Yang et al., 2016](https://aclanthology.org/N16-1174).
        [Lin et al., 2017](https://arxiv.org/abs/1703.03130).
    """

    backbone_cls = RNNEncoderBackbone
    preprocessor_cls = RNNTextClassifierPreprocessor
    head_arguments = ("attention_units", "num_hops")

    def __init__(
        self,
        backbone: RNNEncoderBackbone,
        preprocessor: RNNTextClassifierPreprocessor | None = None,
        *,
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        attention_units: int | None = None,
        num_hops: int = 1,
        penalty: float = 0.0,
        normalizer: str = "softmax",
        dropout: float = 0.0,
        **kwargs,
    ):
        check_rate(dropout=dropout)
        if attention_units is not None:
            check_positive(attention_units=attention_units)

        # === Layers ===
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.labels = ClassLabels(class_names, num_classes)
        self.pooling = AttentivePooling(
            backbone.hidden_dim if attention_units is None else attention_units,
            num_hops=num_hops,
            penalty=penalty,
            normalizer=normalizer,
            name="pooling",
            dtype=policy_for(backbone.dtype_policy, "pooling"),
        )
        self.output_dropout, self.output_dense = make_class_layers(
            backbone, self.num_classes, dropout, "class_logits"
        )

        # === Functional Model ===
        inputs = backbone.input
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

        # === Config ===
        self.attention_units = attention_units
        self.num_hops = num_hops
        self.penalty = penalty
        self.normalizer = normalizer
        self.dropout = dropout

    def read(self, inputs: dict) -> dict:
        """Return logits float [B, C] and alignments float [B, H, S] for the backbone's inputs."""
        outputs, mask = self.backbone(inputs)["sequence_output"], inputs["padding_mask"]
        pooled, alignments = self.pool(outputs, mask, return_alignments=True)
        return {"logits": self.output_dense(self.output_dropout(pooled)), "alignments": alignments}

    def pool(self, outputs, mask, **kwargs):
        """Call the pooling layer."""
        return self.pooling(outputs, mask=mask, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "attention_units": self.attention_units,
            "num_hops": self.num_hops,
            "penalty": self.penalty,
            "normalizer": self.normalizer,
            "dropout": self.dropout,
        }

"""Token tagger: the recurrent encoder, and one layer on each of its vectors."""

import keras

from attnzoo.checks import check_choice, check_rate
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.rnn_encoder.backbone import RNNEncoderBackbone
from attnzoo.models.rnn_encoder.preprocessor import RNNTokenTaggerPreprocessor
from attnzoo.models.tasks.labelled import make_class_layers
from attnzoo.models.tasks.token_tagger import HEADS, TokenTaggerTask, make_crf


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNTokenTagger(TokenTaggerTask):
    """Tagging of words with a recurrent encoder.

    Args:
        backbone: An `RNNEncoderBackbone`.
        preprocessor: An `RNNTokenTaggerPreprocessor`, or None to work on token ids.
        class_names: The tags, in the order of ids; or None for numeric tags.
        num_classes: Number of tags, if they have no names. At least 1.
        dropout: Probability of dropping a feature of the encoder's output. In [0, 1).
        head: `"softmax"`, a distribution for each word, or `"crf"`, one for all tags of a text
            together (see `LinearChainCRF`). Its loss is the CRF's, in nats a word.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, S, C]. Logits of each token's tag; with `head="crf"` the emissions.

    Raises:
        ValueError: If a number or `head` is out of range, both `class_names` and `num_classes` are
            missing, a name has white space, or the tokenizer has more tokens than the backbone.

    Example:
        >>> task = attnzoo.models.RNNTokenTagger(
        ...     backbone, preprocessor, class_names=["DET", "NOUN", "VERB"])
        >>> task.fit(["the film ends", "the end"], ["DET NOUN VERB", "DET NOUN"], epochs=100)
        >>> task.tag("the end")
        ['DET', 'NOUN']

    References:
        [Plank et al., 2016](https://aclanthology.org/P16-2067).
    """

    backbone_cls = RNNEncoderBackbone
    preprocessor_cls = RNNTokenTaggerPreprocessor

    def __init__(
        self,
        backbone: RNNEncoderBackbone,
        preprocessor: RNNTokenTaggerPreprocessor | None = None,
        *,
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        dropout: float = 0.0,
        head: str = "softmax",
        **kwargs,
    ):
        check_rate(dropout=dropout)
        check_choice(HEADS, head=head)

        # === Layers ===
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.labels = ClassLabels(class_names, num_classes, separated=True)
        self.output_dropout, self.output_dense = make_class_layers(
            backbone, self.num_classes, dropout, "tag_logits"
        )
        self.crf = make_crf(backbone, head)

        # === Functional Model ===
        inputs = backbone.input
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)

        # === Config ===
        self.dropout = dropout
        self.head_kind = head

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout, "head": self.head_kind}

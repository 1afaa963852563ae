"""Sentence embedder: the Transformer encoder, pooled by attention to a unit vector."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.models.parts.pooling import make_pooling, pooling_weights
from attnzoo.models.preprocessing.input_checks import need_as_many
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.reading import cut_padding, read_texts
from attnzoo.models.tasks.samples import as_strings
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.preprocessor import TransformerSentenceEmbedderPreprocessor
from attnzoo.training import InBatchNegatives, PartnerAccuracy


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSentenceEmbedder(Task, keras_hub.models.Task):
    """Embedding of texts: texts with similar meaning get similar vectors.

    It is trained on pairs of related texts: the vector of a text is trained to be nearer to its
    partner than to all other texts of the batch (see `attnzoo.training.InBatchNegatives`).

    Differs from the paper: texts are pooled by attention unless another `pooling` is chosen.

    Args:
        backbone: A `TransformerEncoderBackbone`.
        preprocessor: A `TransformerSentenceEmbedderPreprocessor`, or None to work on token ids.
        pooling: Pooling of a text's vectors into one: `"attention"`, an `AttentivePooling` of one
            hop; `"mean"`; or `"first"`, for a preprocessor with `add_start=True`.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, D]. Vectors of unit length.

    Raises:
        ValueError: If the pooling is unknown, the tokenizer has more tokens than the backbone, or
            texts may be longer than the table of a learned position.

    Example:
        >>> task = attnzoo.models.TransformerSentenceEmbedder(backbone, preprocessor)
        >>> task.fit(["a good film", "rain"], ["a fine movie", "wet weather"], epochs=100)
        >>> task.embed(["a good film"]).shape
        (1, 256)
        >>> task.similarity(["a good film"], ["a fine movie", "rain"]).argmax()
        0

    References:
        [Reimers and Gurevych, 2019](https://arxiv.org/abs/1908.10084).
        [Gao et al., 2021](https://arxiv.org/abs/2104.08821), section 4.
    """

    backbone_cls = TransformerEncoderBackbone
    preprocessor_cls = TransformerSentenceEmbedderPreprocessor
    head_arguments = ("pooling",)
    targets_name = "Partners"
    text_kinds = ("text", "partner")

    def __init__(
        self,
        backbone: TransformerEncoderBackbone,
        preprocessor: TransformerSentenceEmbedderPreprocessor | None = None,
        *,
        pooling: str = "attention",
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.pool = make_pooling(pooling, backbone)

        # === Functional Model ===
        inputs = backbone.input
        super().__init__(inputs=inputs, outputs=self.read(inputs)["embeddings"], **kwargs)

        # === Config ===
        self.pooling = pooling

    def head(self, outputs, inputs: dict) -> dict:
        """Return the vectors float [B, D], of unit length, for the backbone's output."""
        pooled = ops.cast(self.pool(outputs, inputs["padding_mask"]), "float32")
        size = ops.sqrt(ops.sum(ops.square(pooled), axis=-1, keepdims=True))
        return {"embeddings": pooled / ops.maximum(size, 1e-12)}

    def read_pooling(self, inputs: dict) -> dict:
        """Return a dict of the pooling weights float [B, 1, S] of the backbone's output."""
        return {"alignments": pooling_weights(self, inputs)}

    # === Training ===

    def make_loss(self, label_smoothing: float):
        """Return the loss that "auto" stands for."""
        if label_smoothing:
            raise ValueError(
                "There are no labels to smooth: each text has one partner. "
                f"Received: label_smoothing={label_smoothing}"
            )
        return InBatchNegatives()

    def make_accuracy(self):
        """Return the metric that "auto" stands for."""
        return PartnerAccuracy()

    def fit(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Texts, a list of strings, with their partners as `y`; a `tf.data.Dataset` of batches
                of both; or a `keras.utils.PyDataset` whose batches are ids already, with the number
                of each row's pair.
            y: For each text its partner, a string. Without a preprocessor, the number of each row's
                pair: both rows must be in one batch, so rows keep their order unless `shuffle=True`
                is given.
            batch_size: Number of pairs in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `Task.fit`: `epochs`, `shuffle`, `sample_weight` (of pairs),
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If a text is empty, or texts and partners differ in number.
        """
        if self.preprocessor is None:  # Rows of one pair are adjacent.
            kwargs.setdefault("shuffle", False)
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Return texts and their partners as arrays, and the weights of the pairs."""
        x, y, sample_weight = super().make_samples(x, y, sample_weight)
        if self.preprocessor is None:
            return x, y, sample_weight
        samples = as_strings("text", x), as_strings("partner", y)
        need_as_many(texts=samples[0], partners=samples[1])
        for one in samples:
            self.preprocessor.check_texts(one.tolist())
        return *samples, sample_weight

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Return packed ids of texts; with partners, ids of both, and the numbers of pairs."""
        if self.preprocessor is None or y is None:
            return super().preprocess_samples(x, y, sample_weight)
        return self.preprocessor.pack_pairs(x, y, sample_weight)

    # === Embedding ===

    def embed(self, texts, *, batch_size: int = 32):
        """Return the vectors of texts.

        Args:
            texts: A string or strings; without a preprocessor, the backbone's inputs.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            float32 [B, D], a NumPy array of rows of unit length; [D] for one string.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        is_one = isinstance(texts, (str, bytes))
        found = read_texts(self, texts, batch_size)["embeddings"]
        return found[0] if is_one else found

    def similarity(self, texts, others, *, batch_size: int = 32):
        """Return the cosine similarity of texts and others.

        Args:
            texts: A strings, or the backbone's inputs.
            others: B strings, or the backbone's inputs.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            float32 [A, B], a NumPy array, each in [-1, 1].

        Raises:
            ValueError: As in `embed`.
        """
        texts, others = ([one] if isinstance(one, (str, bytes)) else one for one in (texts, others))
        one, other = (self.embed(each, batch_size=batch_size) for each in (texts, others))
        return np.clip(one @ other.T, -1.0, 1.0)

    def pooling_alignments(self, texts, *, batch_size: int = 32):
        """Return the weight of each token's vector in the vector of the text.

        Args:
            texts: As in `embed`.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            float32 [B, 1, S], a NumPy array: rows sum to 1 over a text's tokens, special tokens
            included (see `preprocessor.tokens(text)`). Padding is 0.

        Raises:
            ValueError: As in `embed`.
        """
        return cut_padding(read_texts(self, texts, batch_size, "read_pooling"))

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling}

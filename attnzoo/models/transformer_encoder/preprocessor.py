"""Preprocessors for the tasks of the Transformer encoder."""

import keras

from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.masking import MaskingPreprocessor
from attnzoo.models.preprocessing.spans import SpanPreprocessor
from attnzoo.models.preprocessing.tagging import TaggingPreprocessor
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerTextClassifierPreprocessor(EncoderPreprocessor):
    """`EncoderPreprocessor` for `TransformerTextClassifier`.

    Example:
        >>> preprocessor = attnzoo.models.TransformerTextClassifierPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["a good film", "a bad film"]))
        >>> preprocessor(["a film"])["token_ids"].tolist()
        [[4, 5, 3, 0, 0, 0, 0, 0]]
    """

    backbone_cls = TransformerEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerTokenTaggerPreprocessor(TaggingPreprocessor):
    """`TaggingPreprocessor` for `TransformerTokenTagger`.

    Example:
        >>> preprocessor = attnzoo.models.TransformerTokenTaggerPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["the film ends"]))
        >>> x, y, sample_weight = preprocessor(["the film ends"], [[0, 1, 2]])
    """

    backbone_cls = TransformerEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerMaskedLMPreprocessor(MaskingPreprocessor):
    """`MaskingPreprocessor` for `TransformerMaskedLM`.

    Example:
        >>> preprocessor = attnzoo.models.TransformerMaskedLMPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["the film ends"]))
        >>> x, y, sample_weight = preprocessor(["the film ends"])
        >>> x["mask_positions"].shape  # One of the 8 places that a batch of short texts has.
        (1, 1)
    """

    backbone_cls = TransformerEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSentenceEmbedderPreprocessor(EncoderPreprocessor):
    """`EncoderPreprocessor` for `TransformerSentenceEmbedder`, which also packs pairs of texts.

    Example:
        >>> preprocessor = attnzoo.models.TransformerSentenceEmbedderPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["a good film", "a fine movie"]))
        >>> x, pairs = preprocessor.pack_pairs(["a good film"], ["a fine movie"])
        >>> x["token_ids"].shape, pairs.tolist()
        ((2, 8), [0, 0])
    """

    backbone_cls = TransformerEncoderBackbone

    def pack_pairs(self, texts, partners, sample_weight=None):
        """Pack texts, followed by their partners.

        Args:
            texts: Strings; in a graph a `tf.Tensor`.
            partners: One string for each text.
            sample_weight: Weights of the pairs, [B], or None.

        Returns:
            `(x, y)` or `(x, y, sample_weight)`: the dict of `token_ids` int32 [2 B, S] and
            `padding_mask` bool [2 B, S]; the number of each row's pair, int32 [2 B]; its weight,
            float32 [2 B].
        """
        used = form()
        packed = self.pack_texts(used.concatenate(texts, partners))
        pairs = used.repeat_batch(used.number_rows(texts), 2)
        if sample_weight is not None:
            sample_weight = used.weigh(used.repeat_batch(sample_weight, 2), None)
        return keras.utils.pack_x_y_sample_weight(packed, pairs, sample_weight)


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSpanQAPreprocessor(SpanPreprocessor):
    """`SpanPreprocessor` for `TransformerSpanQA`.

    Example:
        >>> preprocessor = attnzoo.models.TransformerSpanQAPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["who sings the old bird"]))
        >>> x, y, _ = preprocessor([("who sings", "the old bird sings")], [(4, 12)])
        >>> y.tolist()  # who sings [END] the old bird sings [END]
        [[4, 5]]
    """

    backbone_cls = TransformerEncoderBackbone

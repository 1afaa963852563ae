"""Preprocessors for the tasks of the recurrent encoder."""

import keras

from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.spans import SpanPreprocessor
from attnzoo.models.preprocessing.tagging import TaggingPreprocessor
from attnzoo.models.rnn_encoder.backbone import RNNEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNTextClassifierPreprocessor(EncoderPreprocessor):
    """`EncoderPreprocessor` for `RNNTextClassifier`.

    Example:
        >>> preprocessor = attnzoo.models.RNNTextClassifierPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["a good film", "a bad film"]))
        >>> preprocessor(["a film"])["token_ids"].tolist()
        [[4, 5, 3, 0, 0, 0, 0, 0]]
    """

    backbone_cls = RNNEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNTokenTaggerPreprocessor(TaggingPreprocessor):
    """`TaggingPreprocessor` for `RNNTokenTagger`.

    Example:
        >>> preprocessor = attnzoo.models.RNNTokenTaggerPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["the film ends"]))
        >>> x, y, sample_weight = preprocessor(["the film ends"], [[0, 1, 2]])
        >>> sample_weight.tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """

    backbone_cls = RNNEncoderBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSpanQAPreprocessor(SpanPreprocessor):
    """`SpanPreprocessor` for `RNNSpanQA`.

    Example:
        >>> preprocessor = attnzoo.models.RNNSpanQAPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["who sings the old bird"]))
        >>> x, y, _ = preprocessor([("who sings", "the old bird sings")], [(4, 12)])
        >>> y.tolist()  # who sings [END] the old bird sings [END]
        [[4, 5]]
    """

    backbone_cls = RNNEncoderBackbone

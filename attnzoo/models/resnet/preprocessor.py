"""Preprocessors of the classifiers of pictures."""

import keras

from attnzoo.models.preprocessing.image import ImagePreprocessor
from attnzoo.models.resnet.backbone import AttentionResNetBackbone, BoTNetBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentionResNetImageClassifierPreprocessor(ImagePreprocessor):
    """`ImagePreprocessor` for `AttentionResNetImageClassifier`.

    Example:
        >>> preprocessor = attnzoo.models.AttentionResNetImageClassifierPreprocessor((28, 28, 1))
        >>> preprocessor("coat.png").shape
        (28, 28, 1)
    """

    backbone_cls = AttentionResNetBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class BoTNetImageClassifierPreprocessor(ImagePreprocessor):
    """`ImagePreprocessor` for `BoTNetImageClassifier`.

    Example:
        >>> preprocessor = attnzoo.models.BoTNetImageClassifierPreprocessor((28, 28, 1))
        >>> preprocessor(["coat.png", "dress.png"]).shape
        (2, 28, 28, 1)
    """

    backbone_cls = BoTNetBackbone

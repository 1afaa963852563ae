"""Classifiers of pictures: a residual network with attention, pooling, and the classes' logits."""

import keras

from attnzoo.models.resnet.backbone import AttentionResNetBackbone, BoTNetBackbone
from attnzoo.models.resnet.preprocessor import (
    AttentionResNetImageClassifierPreprocessor,
    BoTNetImageClassifierPreprocessor,
)
from attnzoo.models.tasks.image_classifier import ImageClassifierTask


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentionResNetImageClassifier(ImageClassifierTask):
    """Classification of pictures by a residual network, with any attention over maps.

    Args:
        backbone: An `AttentionResNetBackbone`.
        preprocessor: An `AttentionResNetImageClassifierPreprocessor`, or None to work on normalized
            arrays.
        class_names: The names of the classes, in the order of ids; or None for numeric labels.
        num_classes: Number of classes, if they have no names. At least 1.
        dropout: Probability of dropping a feature of the pooled map. In [0, 1).
        pooling: `"avg"` or `"max"` over the places of the map.

    Call arguments:
        images: float [B, H, W, C]. Normalized pictures.

    Returns:
        float [B, K]. Logits of the classes.

    Raises:
        ValueError: If `dropout` is out of range, both `class_names` and `num_classes` are missing,
            or preprocessor and backbone differ in their channels.

    Example:
        >>> task = attnzoo.models.AttentionResNetImageClassifier(
        ...     backbone, preprocessor, class_names=["coat", "dress"])
        >>> task.fit(["coat.png", "dress.png"], ["coat", "dress"], epochs=10)
        >>> task.classify("coat.png")
        'coat'

    References:
        [He et al., 2016](https://arxiv.org/abs/1512.03385).
    """

    backbone_cls = AttentionResNetBackbone
    preprocessor_cls = AttentionResNetImageClassifierPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class BoTNetImageClassifier(ImageClassifierTask):
    """Classification of pictures by BoTNet, whose last stage attends to all places.

    Args: as in `AttentionResNetImageClassifier`, with a `BoTNetBackbone` and a
        `BoTNetImageClassifierPreprocessor`.

    Example:
        >>> task = attnzoo.models.BoTNetImageClassifier(
        ...     backbone, preprocessor, class_names=["coat", "dress"])
        >>> task.alignments("coat.png")["stage3_block1"].shape  # 4 heads, 7 x 7 places
        (1, 4, 49, 49)

    References:
        [Srinivas et al., 2021](https://arxiv.org/abs/2101.11605).
    """

    backbone_cls = BoTNetBackbone
    preprocessor_cls = BoTNetImageClassifierPreprocessor

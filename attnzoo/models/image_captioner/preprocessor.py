"""Preprocessor of `ImageCaptioner`."""

from collections.abc import Sequence

import keras
import keras_hub
import numpy as np

from attnzoo.data.tokenizers import in_graph
from attnzoo.models.image_captioner.backbone import ImageCaptionerBackbone, check_image_shape
from attnzoo.models.preprocessing.images import (
    is_one_image,
    read_images,
    resize_image,
    to_unit_range,
)
from attnzoo.models.preprocessing.targets import TargetPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class ImageCaptionerPreprocessor(TargetPreprocessor):
    """Reads and resizes pictures, and tokenizes, packs and pads their captions.

    A caption becomes `[START] ids [END]`. Pictures are resized by Pillow's bicubic filter with
    antialiasing; their proportions are not kept.

    Args:
        tokenizer: A `keras_hub.tokenizers.Tokenizer` for the captions, as in
            `RNNSeq2SeqLMPreprocessor`.
        image_shape: (H, W, C) of the backbone's pictures, in pixels and channels. C is 1 or 3.
        decoder_sequence_length: Padded length T of a caption, in tokens, with the end token.
        truncate: Treatment of longer captions, as in `RNNSeq2SeqLMPreprocessor`.

    Call arguments:
        x: Pictures, a list or an array: paths of files, pictures of Pillow, or arrays [H, W] or
            [H, W, C], uint8 in [0, 255] or float in [0, 1]. With captions as `y`, a list of
            strings; or a dict of `"images"` and `"decoder_text"`. In a graph pictures are of
            `image_shape`.
        sample_weight: Weights of the pairs, [B], or None.

    Returns:
        `(x, y, sample_weight)`: x a dict of `images` float32 [B, H, W, C] in [0, 1],
        `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T]; y int [B, T], the
        next tokens; sample_weight [B, T], 0 where y is padding, else 1 or the pair's own.

    Raises:
        ValueError: If `image_shape` is no (H, W, 1 or 3), a length is below 1, `truncate` is
            unknown, the tokenizer lacks a special token, a picture cannot be read, or a caption is
            too long and `truncate="error"`.

    Example:
        >>> preprocessor = attnzoo.models.ImageCaptionerPreprocessor(
        ...     attnzoo.data.SymbolTokenizer.from_texts(["a red flag"]), image_shape=(32, 32, 3))
        >>> x, y, sample_weight = preprocessor(["flag.png"], ["a red flag"])
    """

    backbone_cls = ImageCaptionerBackbone
    source_key = "images"

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        image_shape: Sequence[int] = (32, 32, 3),
        decoder_sequence_length: int = 64,
        truncate: str = "warn",
        **kwargs,
    ):
        check_image_shape(image_shape)
        super().__init__(
            tokenizer,
            decoder_sequence_length=decoder_sequence_length,
            truncate=truncate,
            **kwargs,
        )
        self.image_shape = tuple(image_shape)

    def read_sources(self, x):
        """Return whether there is a single picture, and pictures [B, H, W, C], resized.

        They are uint8, or float32 in [0, 1] if one of them is.
        """
        if in_graph():
            self._check_shape(x.shape)
            return len(x.shape) == 3, x[None] if len(x.shape) == 3 else x
        height, width, channels = self.image_shape
        images = [resize_image(one, height, width) for one in read_images(x, channels=channels)]
        if len({image.dtype for image in images}) > 1:
            images = [to_unit_range(image) for image in images]
        return is_one_image(x), np.stack(images)

    def pack_sources(self, sources, length: int | None = None) -> dict:
        """Return a dict of `images` float32 [B, H, W, C] in [0, 1], for pictures as read."""
        if not in_graph():
            return {"images": to_unit_range(sources)}
        import tensorflow as tf

        scale = 255.0 if sources.dtype == tf.uint8 else 1.0
        return {"images": tf.cast(sources, tf.float32) / scale}

    def check_backbone(self, backbone):
        """Raise if the backbone takes pictures of another shape, or has too few tokens."""
        if tuple(backbone.image_shape) != self.image_shape:
            raise ValueError(
                "Backbone and preprocessor must have the same `image_shape`. Received: "
                f"{tuple(backbone.image_shape)} in the backbone, {self.image_shape} in the "
                "preprocessor"
            )
        try:
            known = self.tokenizer.vocabulary_size()
        except ValueError:  # A preset's vocabulary is loaded later.
            return
        if known > backbone.vocabulary_size:
            raise ValueError(
                "The backbone's `vocabulary_size` must be at least that of the tokenizer, "
                f"{known}. Received: vocabulary_size={backbone.vocabulary_size}"
            )

    def _check_shape(self, shape):
        if len(shape) not in (3, 4) or tuple(shape[-3:]) != self.image_shape:
            raise ValueError(
                f"In a dataset or a graph pictures must be of shape {self.image_shape}. "
                f"Received: shape {tuple(shape)}"
            )

    def get_config(self):
        return {**super().get_config(), "image_shape": self.image_shape}

"""Super-resolution with HAT: features, then pixels out of channels."""

import keras

from attnzoo.checks import check_choice, check_positive
from attnzoo.models.hat.backbone import HATBackbone
from attnzoo.models.hat.images import PixelShuffle, Recompose
from attnzoo.models.hat.tiling import enlarge_in_tiles
from attnzoo.models.tasks.super_resolution import SuperResolutionTask


@keras.saving.register_keras_serializable(package="attnzoo")
class HATSuperResolution(SuperResolutionTask):
    """Enlarge images with a Hybrid Attention Transformer.

        features = leaky relu(V * backbone(image) + v)
        enlarged = pixel shuffle(U * features + u)          once; twice by 2 for `scale=4`
        output   = W * enlarged + w + base

    The base is the mean of each channel, as in the paper, or with `bicubic_skip=True` the image
    enlarged by bicubic interpolation. In that case W and w begin at 0, so that training begins at
    the bicubic image, and a small network learns in minutes what is missing.

    Args:
        backbone: A `HATBackbone`.
        preprocessor: None. Images need none.
        scale: Factor of height and width: 2, 3 or 4.
        num_features: Channels of `features`. At least 1.
        bicubic_skip: Whether the base is the bicubic image.

    Call arguments:
        float [B, H, W, num_channels]. Images, with values in 0..1.

    Returns:
        float [B, scale H, scale W, num_channels]. About 0..1; `predict` clips to it.

    Raises:
        ValueError: If `scale` is another number, or `num_features` < 1.

    Example:
        >>> task = attnzoo.models.HATSuperResolution.from_preset("hat_tiny_x2")
        >>> task.predict("small.png").shape  # A picture of 100 x 150 pixels.
        (200, 300, 3)

    References:
        [Chen et al., 2023](https://arxiv.org/abs/2205.04437), section 3.2.
        [Shi et al., 2016](https://arxiv.org/abs/1609.05158) (pixel shuffle).
    """

    backbone_cls = HATBackbone
    head_arguments = ("scale", "num_features", "bicubic_skip")

    def __init__(
        self,
        backbone: HATBackbone,
        preprocessor: None = None,
        *,
        scale: int = 4,
        num_features: int = 64,
        bicubic_skip: bool = False,
        **kwargs,
    ):
        check_choice((2, 3, 4), scale=scale)
        check_positive(num_features=num_features)

        # === Layers ===
        dtype = backbone.dtype_policy
        self.backbone = backbone
        self.preprocessor = None
        self.feature_conv = _conv(num_features, dtype, "feature_conv")
        self.activation = keras.layers.LeakyReLU(0.01, dtype=dtype, name="activation")
        steps = [2, 2] if scale == 4 else [scale]
        self.enlarging_convs = [
            _conv(step**2 * num_features, dtype, f"enlarging_conv_{place}")
            for place, step in enumerate(steps)
        ]
        self.pixel_shuffles = [
            PixelShuffle(step, dtype=dtype, name=f"pixel_shuffle_{place}")
            for place, step in enumerate(steps)
        ]
        zeros = {"kernel_initializer": "zeros"} if bicubic_skip else {}
        self.output_conv = _conv(backbone.num_channels, dtype, "output_conv", **zeros)
        image_mean = None if bicubic_skip else backbone.image_mean
        self.recompose = Recompose(scale, image_mean, dtype=dtype, name="recompose")

        # === Functional Model ===
        images = backbone.input
        outputs = self.recompose(self.reconstruct(backbone(images)), images)
        super().__init__(inputs=images, outputs=outputs, **kwargs)

        # === Config ===
        self.scale = scale
        self.num_features = num_features
        self.bicubic_skip = bicubic_skip

    def reconstruct(self, features):
        """Return what the base lacks, float [B, scale H, scale W, C], of features [B, H, W, D]."""
        x = self.activation(self.feature_conv(features))
        for conv, shuffle in zip(self.enlarging_convs, self.pixel_shuffles, strict=True):
            x = shuffle(conv(x))
        return self.output_conv(x)

    def enlarge_in_tiles(self, image, tile_size: int):
        """Return the output for one image float [H, W, C], computed tile by tile."""
        return enlarge_in_tiles(self, image, tile_size)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "num_features": self.num_features,
            "bicubic_skip": self.bicubic_skip,
        }


def _conv(filters, dtype, name, **kwargs):
    return keras.layers.Conv2D(
        filters, 3, padding="same", data_format="channels_last", dtype=dtype, name=name, **kwargs
    )

"""A convolutional encoder that makes a grid of places of a picture."""

from collections.abc import Sequence

import keras

from attnzoo.checks import check_positive


@keras.saving.register_keras_serializable(package="attnzoo")
class GridEncoder(keras.layers.Layer):
    """Convolutional network from a picture to a grid of places, each with its features.

    A stage is two convolutions of 3 x 3, each with batch normalization and ReLU. A max-pooling of
    2 x 2 stands between stages, so a place of the grid is 2 ** (stages - 1) pixels wide.

    Args:
        filters: The features of each stage, from the picture on. Each at least 1.

    Call arguments:
        images: float [B, H, W, C], channels last whatever `keras.config.image_data_format` says.

    Returns:
        float [B, H', W', D], D the features of the last stage.

    Raises:
        ValueError: If there is no stage, or one has no features.

    References:
        [Simonyan and Zisserman, 2015](https://arxiv.org/abs/1409.1556) (stages of 3 x 3).
        [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167) (batch normalization).
    """

    def __init__(self, filters: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        if not filters:
            raise ValueError(f"`filters` must have at least one stage. Received: filters={filters}")
        for count in filters:
            check_positive(filters=count)
        self.filters = list(filters)
        self.convolutions, self.norms = [], []
        for stage, count in enumerate(filters):
            for n in range(2):
                name = f"{stage}_{n}"
                self.convolutions.append(
                    keras.layers.Conv2D(
                        count,
                        3,
                        padding="same",
                        use_bias=False,
                        data_format="channels_last",
                        name=f"convolution_{name}",
                        dtype=self.dtype_policy,
                    )
                )
                self.norms.append(
                    keras.layers.BatchNormalization(
                        momentum=0.9, name=f"norm_{name}", dtype=self.dtype_policy
                    )
                )
        self.pooling = keras.layers.MaxPooling2D(
            2, padding="same", data_format="channels_last", name="pooling", dtype=self.dtype_policy
        )

    def build(self, images_shape):
        features = images_shape[-1]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolution.build((None, None, None, features))
            features = convolution.filters
            norm.build((None, None, None, features))
        self.built = True

    def call(self, images, training: bool = False):
        grid = images
        for n, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if n and n % 2 == 0:
                grid = self.pooling(grid)
            grid = keras.ops.relu(norm(convolution(grid), training=training))
        return grid

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (H', W') of the grid of a picture, in places."""
        for _ in self.filters[1:]:
            height, width = -(-height // 2), -(-width // 2)
        return height, width

    def compute_output_shape(self, images_shape):
        batch, height, width, _ = images_shape
        return batch, *self.grid_size(height, width), self.filters[-1]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}

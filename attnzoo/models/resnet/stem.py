"""The convolutions before the first block of a residual network, and after the last one."""

import dataclasses

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.vision.bottleneck import make_convolution, make_norm, pad_for
from attnzoo.models.parts.policies import policy_for


@dataclasses.dataclass(frozen=True)
class Stem:
    """The plan of a stem.

    Args:
        convolutions: Filters, side of the kernel and stride of each; filters None are those of the
            first stage.
        pooled: Whether the maximum of 3 x 3 places, at every second place, follows.
    """

    convolutions: tuple[tuple[int | None, int, int], ...]
    pooled: bool

    @property
    def stride(self) -> int:
        """By how much the stem divides height and width, rounded up at each step."""
        total = 2 if self.pooled else 1
        for _, _, stride in self.convolutions:
            total *= stride
        return total


STEMS = {
    "imagenet": Stem(((64, 7, 2),), pooled=True),
    "tiered": Stem(((24, 3, 2), (32, 3, 1), (64, 3, 1)), pooled=True),
    "tiered_strided": Stem(((24, 3, 2), (32, 3, 1), (64, 3, 2)), pooled=False),
    "small": Stem(((None, 3, 1),), pooled=False),
}


def make_stem(stem: str, filters: int, dtype) -> list:
    """Return the convolution and the normalization of each step of a stem.

    Args:
        stem: One of `STEMS`.
        filters: The filters of the first stage.
        dtype: Dtype or policy of the backbone.
    """
    steps = []
    for number, (own, side, stride) in enumerate(STEMS[stem].convolutions, 1):
        names = f"stem{number}_convolution", f"stem{number}_norm"
        convolution = make_convolution(
            own or filters, side, stride=stride, dtype=policy_for(dtype, names[0]), name=names[0]
        )
        steps.append((convolution, make_norm(dtype=policy_for(dtype, names[1]), name=names[1])))
    return steps


def make_pooling(dtype):
    """Return the pooling after a stem, for a map padded by `pad_for` with the lowest number."""
    return keras.layers.MaxPooling2D(
        3,
        2,
        data_format="channels_last",
        dtype=policy_for(dtype, "stem_pooling"),
        name="stem_pooling",
    )


def apply_stem(images, steps, activation, pooling=None):
    """Return the map float [B, H', W', filters] of pictures float [B, H, W, C]."""
    x = images
    for convolution, norm in steps:
        padded = pad_for(x, convolution.kernel_size[0], convolution.strides[0])
        x = activation(norm(convolution(padded)))
    return x if pooling is None else pooling(pad_for(x, 3, 2, value=float("-inf")))


def make_head(filters: int | None, dtype) -> list:
    """Return the last convolution and its normalization; nothing if there are no filters."""
    if filters is None:
        return []
    check_positive(head_filters=filters)
    names = "head_convolution", "head_norm"
    return [
        make_convolution(filters, 1, dtype=policy_for(dtype, names[0]), name=names[0]),
        make_norm(dtype=policy_for(dtype, names[1]), name=names[1]),
    ]

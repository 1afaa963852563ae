"""A HAT small enough to be computed pixel by pixel, and its equations."""

import numpy as np
from keras import ops

from attnzoo.importing.hat import weight_names
from attnzoo.models import HATBackbone, HATSuperResolution
from tests import hat_references
from tests.tools import set_weights

SIZES = {"num_heads": 2, "window_size": 4, "compress_ratio": 2, "squeeze_factor": 2}


def make_backbone(**arguments):
    depths = arguments.pop("depths", [2, 1])
    sizes = {**SIZES, "convolution_scale": 0.5, **arguments}
    return HATBackbone(6, depths, **sizes)


def make_task(scale: int = 2, *, num_features: int = 5, bicubic_skip: bool = False, **arguments):
    """A task with weights set, the same on every backend."""
    backbone = make_backbone(**arguments)
    task = HATSuperResolution(
        backbone, scale=scale, num_features=num_features, bicubic_skip=bicubic_skip
    )
    set_weights(task, scale=0.2)
    return task


def reflect(images, size: int):
    """Extend images [B, H, W, C] at the bottom and the right to multiples of `size`."""
    _, height, width, _ = images.shape
    edges = [(0, 0), (0, -height % size), (0, -width % size), (0, 0)]
    return np.pad(images, edges, mode="reflect")


def features(images, backbone):
    """The output of a backbone, in float64."""
    images = reflect(images.astype("float64"), backbone.window_size)
    shallow = hat_references.convolve(images - np.array(backbone.image_mean), backbone.first_conv)
    x = hat_references.layer_norm(shallow, backbone.first_norm)
    for group in backbone.groups:
        x = hat_references.residual_group(x, group)
    normed = hat_references.layer_norm(x, backbone.last_norm)
    return shallow + hat_references.convolve(normed, backbone.last_conv)


def enlarged(images, task):
    """The output of a task without bicubic skip, in float64."""
    x = hat_references.convolve(features(images, task.backbone), task.feature_conv)
    x = np.where(x > 0.0, x, 0.01 * x)
    for conv, shuffle in zip(task.enlarging_convs, task.pixel_shuffles, strict=True):
        x = shuffled(hat_references.convolve(x, conv), shuffle.scale)
    residual = hat_references.convolve(x, task.output_conv)
    _, height, width, _ = images.shape
    residual = residual[:, : height * task.scale, : width * task.scale]
    return residual + np.array(task.backbone.image_mean)


def shuffled(x, scale: int):
    """out[h scale + i, w scale + j, c] = x[h, w, (i scale + j) C + c]"""
    batch, height, width, channels = x.shape
    channels //= scale**2
    output = np.zeros((batch, height * scale, width * scale, channels))
    for i, j in np.ndindex(scale, scale):
        first = (i * scale + j) * channels
        output[:, i::scale, j::scale] = x[..., first : first + channels]
    return output


def original_state(task, seed: int = 0) -> dict:
    """Weights in the layout and with the names of the paper's code, for a task of these sizes."""
    draw, state = np.random.default_rng(seed), {}
    for name, variable in weight_names(task):
        shape = tuple(ops.shape(variable))
        if len(shape) == 4:
            shape = (shape[3], shape[2], *shape[:2])
        elif len(shape) == 2 and not name.endswith("bias_table"):
            shape = shape[::-1] + (1, 1) * (".attention." in name)
        state[name] = draw.normal(size=shape, scale=0.2).astype("float32")
    return state

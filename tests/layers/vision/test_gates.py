"""SqueezeExcitation, EfficientChannelAttention and CBAM."""

import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")

X = normal(2, 3, 5, 12)


def made(layer, inputs=X):
    layer.build(inputs.shape)
    set_weights(layer)
    return layer


def double(array):
    return np.asarray(array, "float64")


def test_squeeze_and_excitation_gates_channels_by_their_means():
    layer = made(layers.SqueezeExcitation(reduction=4, use_bias=True))
    hidden, gate = weights_of(layer.hidden_dense), weights_of(layer.gate_dense)
    means = double(X).mean(axis=(1, 2))
    hidden = np.maximum(means @ hidden["kernel"] + hidden["bias"], 0.0)
    gates = references.sigmoid(hidden @ gate["kernel"] + gate["bias"])
    outputs, found = layer(X, return_alignments=True)
    assert_close([outputs, found], [np.float32(X * gates[:, None, None]), np.float32(gates)])
    assert_close(layer(X), outputs)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("channels", "arguments", "units"),
    [
        (64, {}, 4),
        (8, {}, 1),
        (64, {"divisor": 8}, 8),
        (256, {"divisor": 8}, 16),
        (24, {"reduction": 2, "divisor": 8}, 16),  # The middle between 8 and 16 goes up.
    ],
)
def test_the_hidden_layer_is_as_wide_as_reduction_and_divisor_say(channels, arguments, units):
    layer = layers.SqueezeExcitation(**arguments)
    layer.build((None, None, None, channels))
    assert layer.hidden_dense.units == units
    assert layer.count_params() == 2 * channels * units  # The paper's count, without biases.


def test_efficient_channel_attention_gates_channels_by_their_neighbours():
    layer = made(layers.EfficientChannelAttention(kernel_size=5))
    kernel = weights_of(layer)["v"]
    means = np.pad(double(X).mean(axis=(1, 2)), [(0, 0), (2, 2)])
    gates = references.sigmoid(np.stack([means[:, c : c + 5] @ kernel for c in range(12)], axis=-1))
    outputs, found = layer(X, return_alignments=True)
    assert_close([outputs, found], [np.float32(X * gates[:, None, None]), np.float32(gates)])


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("channels", "size"), [(16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)]
)
def test_the_kernel_of_efficient_channel_attention_grows_with_the_channels(channels, size):
    # t = (log2(C) + 1) / 2 is 2.5, 3.5, 4, 4.5, 5, 6.
    layer = layers.EfficientChannelAttention()
    layer.build((None, None, None, channels))
    assert layer.count_params() == size


def test_cbam_gates_channels_then_places():
    layer = made(layers.CBAM(reduction=3, kernel_size=3))
    hidden, gate = weights_of(layer.hidden_dense)["kernel"], weights_of(layer.gate_dense)["kernel"]
    summaries = double(X).mean(axis=(1, 2)), double(X).max(axis=(1, 2))
    logits = sum(np.maximum(one @ hidden, 0.0) @ gate for one in summaries)
    channel = references.sigmoid(logits)
    gated = X * channel[:, None, None]
    both = np.stack([gated.mean(axis=-1), gated.max(axis=-1)], axis=-1)
    kernel = weights_of(layer.convolution)["kernel"]
    spatial = references.sigmoid(references.convolution_2d(both, kernel)[..., 0])
    outputs, gates = layer(X, return_alignments=True)
    assert_close(gates, {"channel": np.float32(channel), "spatial": np.float32(spatial)})
    assert_close(outputs, np.float32(gated * spatial[..., None]))


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.SqueezeExcitation(0), "Received: reduction=0"),
        (lambda: layers.SqueezeExcitation(divisor=0), "Received: divisor=0"),
        (lambda: layers.EfficientChannelAttention(4), "must be odd. Received: kernel_size=4"),
        (lambda: layers.EfficientChannelAttention(0), "Received: kernel_size=0"),
        (lambda: layers.EfficientChannelAttention(gamma=0.0), "above 0. Received: gamma=0.0"),
        (lambda: layers.CBAM(reduction=0), "Received: reduction=0"),
        (lambda: layers.CBAM(kernel_size=2), "must be odd. Received: kernel_size=2"),
        (lambda: layers.CBAM().compute_output_shape((2, 3, 5)), "must have rank 4"),
        (lambda: layers.SqueezeExcitation().compute_output_shape((2, 3)), "must have rank 4"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

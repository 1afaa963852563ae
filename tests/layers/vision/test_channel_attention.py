import numpy as np
import pytest

from attnzoo import layers
from attnzoo.importing import hat
from tests import hat_references
from tests.hat_references import Arrays, assign
from tests.tools import assert_close, normal, set_weights, to_numpy

X = normal(2, 3, 5, 7, seed=1)
CLASSES = [layers.ChannelAttention, layers.ChannelAttentionBlock]


def built(cls, **arguments):
    layer = cls(squeeze_factor=2, **arguments)
    layer.build(X.shape)
    set_weights(layer)
    return layer


def test_gates_follow_the_means_of_channels():
    layer = built(layers.ChannelAttention)
    outputs, gates = to_numpy(layer(X, return_alignments=True))
    expected = hat_references.gates(X.mean(axis=(1, 2), dtype="float64"), layer)
    assert_close(gates, expected)
    assert_close(outputs, expected[:, None, None] * X)


def test_the_block_convolves_before():
    block = built(layers.ChannelAttentionBlock)
    assert_close(block(X), hat_references.channel_attention_block(X, block))


@pytest.mark.parametrize("cls", CLASSES)
def test_means_of_a_whole_image_may_come_with_a_part(cls):
    layer = built(cls)
    part = X[:, :, :3]
    pooled = normal(2, 7, seed=2)
    outputs, gates = to_numpy(layer(part, pooled, return_alignments=True))
    attention = getattr(layer, "channel_attention", layer)
    assert_close(gates, hat_references.gates(pooled, attention))
    unopened = to_numpy(layer.convolve(part)) if attention is not layer else part
    assert_close(outputs, gates[:, None, None] * unopened)


@pytest.mark.parametrize("cls", CLASSES)
def test_it_is_the_attention_of_the_paper(cls):
    is_block = cls is layers.ChannelAttentionBlock
    arrays = Arrays("hat_cab" if is_block else "hat_channel_attention")
    layer = cls(squeeze_factor=6)
    layer.build((None, 5, 7, 24))
    names = hat.of_convolutions if is_block else hat.of_gates
    assign(names("cab" if is_block else "attention", layer), arrays.weights())
    assert_close(layer(arrays.image("in/x")), arrays.image("out/y"), tolerance=1e-4)


@pytest.mark.backend_free
def test_more_squeezing_than_channels_is_refused():
    with pytest.raises(ValueError, match="Received: squeeze_factor=8, channels=7"):
        layers.ChannelAttention(8).build(X.shape)
    with pytest.raises(ValueError, match="Received: compress_ratio=8, channels=7"):
        layers.ChannelAttentionBlock(8).build(X.shape)


def test_gates_are_open_between_0_and_1():
    gates = to_numpy(built(layers.ChannelAttention)(100.0 * X, return_alignments=True)[1])
    assert np.all((gates >= 0.0) & (gates <= 1.0))

import numpy as np
import pytest

from attnzoo import layers
from attnzoo.importing import hat
from tests import hat_references
from tests.hat_references import Arrays, assign
from tests.tools import assert_close, normal, set_weights, to_numpy

X = normal(2, 4, 6, 10, seed=1)
SIZES = {"num_heads": 2, "window_size": 2, "compress_ratio": 2, "squeeze_factor": 3}


def built(cls, **arguments):
    layer = cls(**SIZES, **arguments)
    layer.build(X.shape)
    set_weights(layer, scale=0.3)
    return layer


def test_a_block_follows_its_equations():
    block = built(layers.HybridAttentionBlock, shift=1, feed_forward_dim=7, convolution_scale=0.5)
    assert_close(block(X), hat_references.hybrid_attention_block(X, block))


def test_a_group_follows_its_equations():
    group = built(layers.ResidualHybridAttentionGroup, num_blocks=3, overlap_ratio=1.0)
    assert [block.window_attention.shift for block in group.blocks] == [0, 1, 0]
    outputs, alignments = to_numpy(group(X, return_alignments=True))
    assert_close(outputs, hat_references.residual_group(X, group))
    assert [one.shape for one in alignments] == 3 * [(2, 6, 2, 4, 4)] + [(2, 6, 2, 4, 16)]


def test_stochastic_depth_drops_attention_and_feed_forward_but_no_convolution():
    arguments = {"convolution_scale": 0.5}
    block = built(layers.HybridAttentionBlock, stochastic_depth=0.999999, **arguments)
    normed = hat_references.layer_norm(X, block.attention_norm)
    convolved = hat_references.channel_attention_block(normed, block.convolutions)
    assert_close(block(X, training=True), X + 0.5 * convolved)
    assert_close(block(X), built(layers.HybridAttentionBlock, **arguments)(X))


def test_it_is_the_block_of_the_paper():
    arrays = Arrays("hat_hab_shift0")
    sizes = arrays.meta["kwargs"]
    block = layers.HybridAttentionBlock(
        sizes["num_heads"],
        sizes["window_size"],
        compress_ratio=sizes["compress_ratio"],
        squeeze_factor=sizes["squeeze_factor"],
        convolution_scale=sizes["conv_scale"],
    )
    height, width = sizes["x_size"]
    x = arrays["in/x"].reshape(-1, height, width, sizes["dim"])
    block.build(x.shape)
    names = ((name.lstrip("."), one) for name, one in hat.of_block("", block))
    assign(names, arrays.weights())
    expected = arrays["out/y"].reshape(x.shape)
    assert_close(block(x), expected, tolerance=1e-4)


@pytest.mark.backend_free
def test_each_block_has_a_rate():
    with pytest.raises(ValueError, match=r"Received: stochastic_depth=\[0.1\], num_blocks=3"):
        layers.ResidualHybridAttentionGroup(3, 2, stochastic_depth=[0.1])
    rates = [0.0, 0.1, 0.2]
    group = layers.ResidualHybridAttentionGroup(3, 2, stochastic_depth=rates)
    assert [block.stochastic_depth for block in group.blocks] == rates
    assert np.allclose(group.get_config()["stochastic_depth"], rates)

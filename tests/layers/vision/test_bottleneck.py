import keras
import numpy as np
import pytest

from attnzoo.layers import (
    CBAM,
    BottleneckBlock,
    BottleneckTransformerBlock,
    EfficientChannelAttention,
)
from tests import references
from tests.layers.vision.parity import channels_last, load, matrix
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")

X = normal(2, 3, 5, 16)


def made(layer, inputs=X):
    layer.build(inputs.shape)
    set_weights(layer)
    return layer


def convolve(convolution, x, stride=1):
    kernel = weights_of(convolution)["kernel"]
    return references.convolution_2d(x, kernel)[:, ::stride, ::stride]


def normalize(norm, x):
    own = weights_of(norm)
    scale = own["gamma"] / np.sqrt(own["moving_variance"] + 1e-5)
    return (x - own["moving_mean"]) * scale + own["beta"]


def relu(x):
    return np.maximum(x, 0.0)


def around(layer, middle, stride, relu_shortcut):
    """The block around its middle, in NumPy."""
    hidden = middle(relu(normalize(layer.in_norm, convolve(layer.in_convolution, X))))
    shortcut = X
    if layer.has_projection:
        shortcut = convolve(layer.shortcut_convolution, X, stride)
        shortcut = normalize(layer.shortcut_norm, shortcut)
        shortcut = relu(shortcut) if relu_shortcut else shortcut
    branch = normalize(layer.out_norm, convolve(layer.out_convolution, hidden))
    return np.float32(relu(shortcut + branch))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_is_its_equations(stride):
    # A centred kernel at every second place: padded on all sides alike.
    layer = made(BottleneckBlock(4, stride=stride, attention=EfficientChannelAttention(3)))

    def middle(hidden):
        hidden = relu(normalize(layer.norm, convolve(layer.convolution, hidden, stride)))
        return to_numpy(layer.attention(hidden.astype("float32")))

    outputs, gates = layer(X, return_alignments=True)
    assert outputs.shape == ((2, 3, 5, 16) if stride == 1 else (2, 2, 3, 16))
    assert gates.shape == (2, 4)
    assert_close(outputs, around(layer, middle, stride, False), tolerance=1e-4)
    assert layer.has_projection == (stride == 2)


@pytest.mark.parametrize("relu_shortcut", [True, False])
def test_a_transformer_block_attends_in_the_middle(relu_shortcut):
    layer = BottleneckTransformerBlock(8, 2, stride=2, shortcut_activation=relu_shortcut)
    made(layer)

    def middle(hidden):
        hidden = to_numpy(layer.attention(hidden.astype("float32")))
        return relu(normalize(layer.norm, hidden))

    outputs, alignments = layer(X, return_alignments=True)
    assert alignments.shape == (2, 2, 15, 15)
    assert_close(outputs, around(layer, middle, 2, relu_shortcut), tolerance=1e-4)


def test_the_reference_implementation_gives_the_same():
    arrays = load("botnet_block")
    x = channels_last(arrays["in/x"])
    layer = made(BottleneckTransformerBlock(32, 4), x)
    for ours, theirs in (("in", "conv1_1x1"), ("out", "conv3_1x1")):
        convolution = getattr(layer, f"{ours}_convolution")
        convolution.kernel.assign(matrix(arrays[f"w/{theirs}.conv.weight"])[None, None])
        assign_norm(getattr(layer, f"{ours}_norm"), arrays, f"w/{theirs}.bn")
    assign_norm(layer.norm, arrays, "w/post_attn")
    kernels = np.split(matrix(arrays["w/self_attn.qkv.weight"]), 3, axis=-1)
    attention = layer.attention
    denses = attention.query_dense, attention.key_dense, attention.value_dense
    for dense, kernel in zip(denses, kernels, strict=True):
        dense.kernel.assign(kernel)
    attention.height_table.assign(arrays["w/self_attn.pos_embed.height_rel"])
    attention.width_table.assign(arrays["w/self_attn.pos_embed.width_rel"])
    assert_close(layer(x), channels_last(arrays["out/y"]), tolerance=1e-4)


def assign_norm(norm, arrays, name):
    norm.gamma.assign(arrays[f"{name}.weight"])
    norm.beta.assign(arrays[f"{name}.bias"])
    norm.moving_mean.assign(arrays[f"{name}.running_mean"])
    norm.moving_variance.assign(arrays[f"{name}.running_var"])


@pytest.mark.parametrize("layer", [BottleneckBlock(4), BottleneckTransformerBlock(4)])
def test_a_new_block_is_its_shortcut(layer):
    assert_close(layer(X), np.maximum(X, 0.0))


@pytest.mark.backend_free
def test_an_attention_that_is_given_is_saved_with_the_block():
    block = BottleneckBlock(4, attention=CBAM(2, kernel_size=3))
    again = BottleneckBlock.from_config(block.get_config())
    assert isinstance(again.attention, CBAM) and again.attention.kernel_size == 3
    assert again.get_config() == block.get_config()


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BottleneckBlock(0), "Received: filters=0"),
        (lambda: BottleneckBlock(4, output_filters=0), "Received: output_filters=0"),
        (lambda: BottleneckBlock(4, stride=3), "Received: stride=3"),
        (lambda: BottleneckTransformerBlock(6), "divide `filters`.*num_heads=4, filters=6"),
        (lambda: BottleneckTransformerBlock(8, 0), "Received: num_heads=0"),
        (
            lambda: BottleneckBlock(4)(keras.Input((3, 5, 8)), return_alignments=True),
            "Received: attention=None, return_alignments=True",
        ),
        (lambda: BottleneckBlock(4).compute_output_shape((2, 3, 5)), "must have rank 4"),
    ],
)
def test_what_makes_no_block_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

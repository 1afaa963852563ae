"""The equations of HAT's layers in NumPy and float64, pixel by pixel, and the paper's arrays."""

import json
import math
import pathlib

import numpy as np
import pytest
from keras import ops

from tests import references

PARITY = pathlib.Path(__file__).parents[1].parent / "shared" / "parity" / "vision"


def weights_of(layer) -> list[np.ndarray]:
    """Kernel and bias of a dense layer or a convolution, gamma and beta of a norm; float64."""
    names = ("kernel", "bias") if hasattr(layer, "kernel") else ("gamma", "beta")
    return [ops.convert_to_numpy(getattr(layer, name)).astype("float64") for name in names]


def gelu(z):
    return z * 0.5 * (1.0 + np.vectorize(math.erf)(z / math.sqrt(2.0)))


def layer_norm(x, norm, epsilon: float = 1e-5):
    gamma, beta = weights_of(norm)
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return gamma * centred / np.sqrt(variance + epsilon) + beta


def convolve(x, conv):
    """out[h, w] = sum over i, j of kernel[i, j] x[h + i - 1, w + j - 1], zeros outside"""
    kernel, bias = weights_of(conv)
    height, width = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return bias + sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def gates(pooled, attention):
    (squeeze, small), (expand, large) = map(
        weights_of, (attention.squeeze_dense, attention.expand_dense)
    )
    return references.sigmoid(np.maximum(pooled @ squeeze + small, 0.0) @ expand + large)


def channel_attention_block(x, block):
    convolved = convolve(gelu(convolve(x, block.compress_conv)), block.expand_conv)
    opened = gates(convolved.mean(axis=(1, 2)), block.channel_attention)
    return opened[:, None, None] * convolved


def feed_forward(x, layer):
    (first, b), (second, c) = map(weights_of, (layer.hidden_dense, layer.output_dense))
    return gelu(x @ first + b) @ second + c


def attend(query, keys, values, biases, num_heads):
    """query [D], keys and values [S, D], biases [S, N] -> context [D], alignments [N, S]"""
    heads = [one.reshape(*one.shape[:-1], num_heads, -1) for one in (query, keys, values)]
    query, keys, values = heads
    scores = np.einsum("nd,snd->ns", query, keys) / np.sqrt(query.shape[-1]) + biases.T
    alignments = references.softmax(scores)
    return np.einsum("ns,snd->nd", alignments, values).reshape(-1), alignments


def window_attention(x, layer):
    """Each pixel attends to those with the same floor((h - shift) / M) and floor((w - shift) / M).

    No image is rolled here.
    """
    size, shift = layer.window_size, layer.shift
    table = ops.convert_to_numpy(layer.bias_table).astype("float64")
    (kernel, bias), output = weights_of(layer.qkv_dense), weights_of(layer.output_dense)
    batch, height, width, channels = x.shape
    query, key, value = np.split(x @ kernel + bias, 3, axis=-1)
    contexts = np.zeros(x.shape)
    places = [(h, w) for h in range(height) for w in range(width)]
    for b in range(batch):
        for h, w in places:
            own = [
                (i, j)
                for i, j in places
                if (i - shift) // size == (h - shift) // size
                and (j - shift) // size == (w - shift) // size
            ]
            rows, columns = np.array(own).T
            index = (h - rows + size - 1) * (2 * size - 1) + w - columns + size - 1
            contexts[b, h, w], _ = attend(
                query[b, h, w],
                key[b, rows, columns],
                value[b, rows, columns],
                table[index],
                layer.num_heads,
            )
    return contexts @ output[0] + output[1]


def overlapping_cross_attention(x, layer):
    """Each pixel attends to its window and `margin` pixels around; beyond the image are zeros."""
    size, margin = layer.window_size, layer.margin
    wide = size + 2 * margin
    table = ops.convert_to_numpy(layer.bias_table).astype("float64")
    (kernel, bias), output = weights_of(layer.qkv_dense), weights_of(layer.output_dense)
    query, key, value = np.split(x @ kernel + bias, 3, axis=-1)
    edges = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    key, value = np.pad(key, edges), np.pad(value, edges)
    contexts = np.zeros(x.shape)
    for b, h, w in np.ndindex(x.shape[:3]):
        top, left = h // size * size, w // size * size
        i, j = np.indices((wide, wide)).reshape(2, -1)
        row, column = i - h % size + size - wide + 1, j - w % size + size - wide + 1
        index = row * (size + wide - 1) + column  # Negative ones count from the end.
        contexts[b, h, w], _ = attend(
            query[b, h, w],
            key[b, top + i, left + j],
            value[b, top + i, left + j],
            table[index],
            layer.num_heads,
        )
    return contexts @ output[0] + output[1]


def hybrid_attention_block(x, block):
    normed = layer_norm(x, block.attention_norm)
    x = x + window_attention(normed, block.window_attention)
    x = x + block.convolution_scale * channel_attention_block(normed, block.convolutions)
    return x + feed_forward(layer_norm(x, block.feed_forward_norm), block.feed_forward)


def overlapping_block(x, block):
    x = x + overlapping_cross_attention(layer_norm(x, block.attention_norm), block.cross_attention)
    return x + feed_forward(layer_norm(x, block.feed_forward_norm), block.feed_forward)


def residual_group(x, group):
    y = x
    for block in group.blocks:
        y = hybrid_attention_block(y, block)
    return x + convolve(overlapping_block(y, group.overlapping_block), group.output_conv)


# === The arrays of the paper's code ===


class Arrays:
    """The arrays of one case in torch's layout; a test that asks for one is skipped without it."""

    def __init__(self, case: str):
        path = PARITY / f"{case}.npz"
        if not path.exists():
            pytest.skip("the arrays of the paper's code are not here")
        with np.load(path) as file:
            self.arrays = {name: file[name] for name in file}
        self.meta = json.loads(str(self.arrays["meta"]))

    def __getitem__(self, name):
        array = self.arrays[name]
        return array.astype("float32") if array.dtype.kind == "f" else array

    def weights(self) -> dict:
        """The weights by their names."""
        return {name[2:]: self[name] for name in self.arrays if name.startswith("w/")}

    def image(self, name):
        """An array [B, C, H, W] as [B, H, W, C]."""
        return self[name].transpose(0, 2, 3, 1)


def assign(names_and_variables, weights: dict) -> None:
    """Set variables to weights of torch, by name: matrices [O, I], convolutions [O, I, H, W]."""
    for name, variable in names_and_variables:
        value = weights[name]
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        elif value.ndim == 2 and not name.endswith("table"):
            value = value.T
        variable.assign(value.reshape(variable.shape))

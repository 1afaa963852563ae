"""NonLocalBlock, ExternalAttention and GlobalContext."""

import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")

X = normal(2, 3, 5, 12)
PLACES = X.reshape(2, 15, 12).astype("float64")


def made(layer, inputs=X):
    layer.build(inputs.shape)
    set_weights(layer)
    return layer


def kernel(dense):
    return weights_of(dense)["kernel"]


@pytest.mark.parametrize(
    "pairwise", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"]
)
def test_a_non_local_block_adds_what_places_gather_from_all(pairwise):
    layer = made(layers.NonLocalBlock(units=7, pairwise=pairwise))
    if pairwise == "gaussian":
        alignments = references.softmax(PLACES @ PLACES.transpose(0, 2, 1))
    else:
        query, key = PLACES @ kernel(layer.query_dense), PLACES @ kernel(layer.key_dense)
        alignments = query @ key.transpose(0, 2, 1) / 15
        if pairwise == "embedded_gaussian":
            alignments = references.softmax(15 * alignments)
        if pairwise == "concatenation":
            own = weights_of(layer)
            of_query, of_key = query @ own["query_vector"], key @ own["key_vector"]
            alignments = np.maximum(of_query + of_key.transpose(0, 2, 1), 0.0) / 15
    context = alignments @ (PLACES @ kernel(layer.value_dense)) @ kernel(layer.output_dense)
    norm = weights_of(layer.norm)
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + 1e-5)
    expected = PLACES + (context - norm["moving_mean"]) * scale + norm["beta"]
    outputs, found = layer(X, return_alignments=True)
    assert_close(found, np.float32(alignments))
    assert_close(outputs, np.float32(expected.reshape(X.shape)), tolerance=1e-4)


def test_a_new_non_local_block_is_the_identity():
    layer = layers.NonLocalBlock()
    assert_close(layer(X), X)
    assert layer.value_dense.units == 6


def test_pooled_places_are_the_largest_of_their_squares():
    layer = made(layers.NonLocalBlock(units=7, pairwise="gaussian", pool_size=2))
    padded = np.pad(X, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=-np.inf)
    pooled = padded.reshape(2, 2, 2, 3, 2, 12).max(axis=(2, 4)).reshape(2, 6, 12)
    _, alignments = layer(X, return_alignments=True)
    expected = references.softmax(PLACES @ pooled.transpose(0, 2, 1).astype("float64"))
    assert_close(alignments, np.float32(expected))


def test_external_attention_normalizes_twice():
    layer = made(layers.ExternalAttention(memory_size=7))
    own = weights_of(layer)
    shares = references.softmax(PLACES @ own["key"].T, axis=1)
    alignments = shares / shares.sum(axis=-1, keepdims=True)
    outputs, found = layer(X, return_alignments=True)
    assert_close(found, np.float32(alignments))
    assert_close(outputs, np.float32((alignments @ own["value"]).reshape(X.shape)))


def test_external_attention_stays_finite_where_shares_underflow():
    layer = made(layers.ExternalAttention(memory_size=7))
    _, alignments = layer(X * 1e4, return_alignments=True)
    np.testing.assert_allclose(to_numpy(alignments).sum(axis=-1), 1.0, atol=1e-5)


def test_a_global_context_is_added_to_every_place():
    layer = made(layers.GlobalContext(reduction=4, use_bias=True))
    alignments = references.softmax(PLACES @ weights_of(layer)["score_kernel"], axis=1)
    context = np.sum(alignments * PLACES, axis=1)
    hidden, output = weights_of(layer.hidden_dense), weights_of(layer.output_dense)
    norm = weights_of(layer.norm)
    hidden = context @ hidden["kernel"] + hidden["bias"]
    hidden = np.maximum(references.layer_norm(hidden, norm["gamma"], norm["beta"]), 0.0)
    context = hidden @ output["kernel"] + output["bias"]
    outputs, found = layer(X, return_alignments=True)
    assert_close(found, np.float32(alignments.reshape(2, 3, 5)))
    assert_close(outputs, np.float32(X + context[:, None, None]))


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.NonLocalBlock(units=0), "Received: units=0"),
        (lambda: layers.NonLocalBlock(pool_size=0), "Received: pool_size=0"),
        (lambda: layers.NonLocalBlock(pairwise="dot"), "must be one of .* pairwise='dot'"),
        (lambda: layers.ExternalAttention(0), "Received: memory_size=0"),
        (lambda: layers.GlobalContext(0), "Received: reduction=0"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "layer", [layers.NonLocalBlock(), layers.ExternalAttention(), layers.GlobalContext()]
)
def test_what_is_no_map_is_refused(layer):
    with pytest.raises(ValueError, match=r"must have rank 4.*inputs.shape=\(2, 3, 5\)"):
        layer.compute_output_shape((2, 3, 5))

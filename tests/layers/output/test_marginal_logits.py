import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

B, T, S, DQ, DM, U, V = 2, 3, 11, 5, 13, 7, 17
QUERY, MEMORY = normal(B, T, DQ, seed=1), normal(B, S, DM, seed=2)
MASK = lengths_mask([11, 7], S)
ALIGNMENTS = references.softmax(normal(B, T, S, seed=3), MASK[:, None]).astype("float32")


def built(**arguments):
    layer = layers.MarginalLogits(V, hidden_dim=U, **arguments)
    layer.build(QUERY.shape, MEMORY.shape)
    set_weights(layer)
    return layer


def test_it_reads_out_each_place_and_weighs_what_they_say():
    layer = built()
    weights = weights_of(layer)
    expected = references.marginal_log_probs(
        QUERY @ weights["query_kernel"],
        MEMORY @ weights["memory_kernel"],
        ALIGNMENTS,
        weights["kernel"],
        weights["bias"],
    )
    assert_close(layer(QUERY, MEMORY, ALIGNMENTS), expected)


def test_beams_side_by_side_share_a_memory():
    layer = built()
    whole = layer(QUERY, MEMORY, ALIGNMENTS)
    rows = [np.reshape(array, (B * T, -1)) for array in (QUERY, ALIGNMENTS)]
    query, alignments = map(ops.convert_to_tensor, rows)
    stepped, same, state = layer.step(query, alignments, None, layer.prepare(MEMORY), ())
    assert_close(stepped, ops.reshape(whole, (B * T, V)))
    assert same is alignments and state == ()


def test_padding_changes_nothing():
    layer = built()
    memory = np.where(MASK[:, :, None], MEMORY, np.float32(1e4))
    memory = np.pad(memory, [(0, 0), (0, 3), (0, 0)], constant_values=1e4)
    alignments = np.pad(ALIGNMENTS, [(0, 0), (0, 0), (0, 3)])
    assert_close(layer(QUERY, memory, alignments), layer(QUERY, MEMORY, ALIGNMENTS), tolerance=1e-6)


def test_dropout_acts_in_training_only_and_on_all_places_alike():
    plain, layer = built(), built(dropout=0.5)
    assert_close(layer(QUERY, MEMORY, ALIGNMENTS), plain(QUERY, MEMORY, ALIGNMENTS))
    # All places say the same if they are the same: so they do for whatever is dropped.
    memory = np.repeat(MEMORY[:, :1], S, axis=1)
    layer.bias.assign(np.zeros(V, "float32"))
    layer.kernel.assign(np.eye(U, V, dtype="float32"))
    found = to_numpy(layer(QUERY, memory, ALIGNMENTS, training=True))
    differences = found[:, :, :U] - found[:, :, -1:]  # The readouts: the last target's logit is 0.
    dropped = np.abs(differences) < 1e-6
    assert 0 < dropped.sum() < dropped.size
    readout = 2.0 * np.tanh(
        QUERY @ weights_of(layer)["query_kernel"]
        + memory[:, :1] @ weights_of(layer)["memory_kernel"]
    )
    assert_close(differences, np.where(dropped, 0.0, readout).astype("float32"))


@pytest.mark.parametrize("alignments", [ALIGNMENTS, 0.0 * ALIGNMENTS])
def test_probabilities_sum_to_one(alignments):
    log_probs = to_numpy(built()(QUERY, MEMORY, alignments))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 0}, "Received: vocabulary_size=0"),
        ({"hidden_dim": 0}, "Received: hidden_dim=0"),
        ({"dropout": 1.0}, r"in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"vocabulary_size": V, "hidden_dim": U, **arguments}
    with pytest.raises(ValueError, match=message):
        layers.MarginalLogits(**arguments)

import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

B, T, S, D, V = 2, 3, 11, 5, 17
OUTPUTS = normal(B, T, D, seed=1)
MASK = lengths_mask([11, 7], S)
ALIGNMENTS = references.softmax(normal(B, T, S, seed=2), MASK[:, None]).astype("float32")
IDS = np.random.default_rng(3).integers(0, V + S, size=(B, S)).astype("int32")


def built():
    layer = layers.PointerGenerator(V)
    layer.build(OUTPUTS.shape)
    set_weights(layer)
    return layer


def test_it_says_or_copies():
    layer = built()
    weights = weights_of(layer)
    expected = references.pointer_log_probs(
        OUTPUTS @ weights["kernel"] + weights["bias"],
        (OUTPUTS @ weights["gate_kernel"] + weights["gate_bias"])[:, :, 0],
        ALIGNMENTS,
        IDS,
    )
    found = to_numpy(layer(OUTPUTS, alignments=ALIGNMENTS, copy_token_ids=IDS))
    np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=1e-4, atol=1e-30)


def test_the_alignments_come_with_it_if_asked_for():
    log_probs, alignments = built()(
        OUTPUTS, alignments=ALIGNMENTS, copy_token_ids=IDS, return_alignments=True
    )
    assert tuple(log_probs.shape) == (B, T, V + S)
    assert_close(alignments, ALIGNMENTS, tolerance=0.0)


def test_beams_side_by_side_share_a_source():
    layer = built()
    whole = layer(OUTPUTS, alignments=ALIGNMENTS, copy_token_ids=IDS)
    outputs, alignments = (
        ops.reshape(ops.convert_to_tensor(one), (B * T, -1)) for one in (OUTPUTS, ALIGNMENTS)
    )
    prepared = layer.prepare(None, MASK, IDS)
    assert tuple(prepared.shape) == (B, S, V + S)  # Not once for each beam.
    stepped, same, state = layer.step(outputs, alignments, None, prepared, ())
    assert_close(stepped, ops.reshape(whole, (B * T, V + S)))
    assert same is alignments and state == ()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 1. Received: vocabulary_size=0"):
        layers.PointerGenerator(0)
    with pytest.raises(ValueError, match="pointer_generator=True.* Received: copy_token_ids=None"):
        built()(OUTPUTS, alignments=ALIGNMENTS)
    with pytest.raises(ValueError, match="return_alignments=True.* Received: alignments=None"):
        built()(OUTPUTS, copy_token_ids=IDS)

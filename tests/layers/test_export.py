"""Models around our layers, as Keras's own `model.export` writes them."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, lengths_mask, normal, without_compilation

ON_TORCH = keras.backend.backend() == "torch"
V, D, U = 11, 8, 5
IDS = np.array([[1, 2, 3, 4], [5, 6, 0, 0]], dtype="int32")
open_sizes = pytest.mark.skipif(ON_TORCH, reason="Keras writes no SavedModel from torch.")


def summarizer():
    """Token ids with padding, and queries that attend to them."""
    ids, query = keras.Input((None,), dtype="int32"), keras.Input((None, U))
    memory = keras.layers.Embedding(V, D, mask_zero=True)(ids)
    memory = layers.TransformerEncoderBlock(D, 2, feed_forward_dim=7)(memory)
    return keras.Model([ids, query], layers.BahdanauAttention(7)(query, memory))


@open_sizes
def test_an_exported_model_takes_any_size_and_heeds_padding(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model, query = summarizer(), normal(2, 3, U)
    model.export(str(tmp_path), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.serve([IDS, query]).numpy()
    with without_compilation():
        expected = model([ops.convert_to_tensor(IDS), ops.convert_to_tensor(query)])
    assert_close(found, expected)
    unpadded = loaded.serve([IDS[1:, :2], query[1:, :2]]).numpy()
    np.testing.assert_allclose(unpadded, found[1:, :2], atol=1e-5)


def masked():
    """A model whose masks are inputs of their own."""
    query, memory = keras.Input((None, U), name="query"), keras.Input((None, D), name="memory")
    inputs = {"query": query, "memory": memory}
    inputs["memory_mask"] = keras.Input((None,), dtype="bool", name="memory_mask")
    return keras.Model(inputs, layers.BahdanauAttention(7)(**inputs))


@open_sizes
def test_masks_that_are_inputs_are_exported_with_names_for_equal_sizes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model, names = masked(), {}
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="must have one name: pass `jax2tf_kwargs="):
            model.export(str(tmp_path / "unnamed"), verbose=False)
        shapes = {"query": "(b, t, 5)", "memory": "(b, s, 8)", "memory_mask": "(b, s)"}
        names = {"jax2tf_kwargs": {"polymorphic_shapes": [shapes]}}
    model.export(str(tmp_path / "named"), verbose=False, **names)
    batch = {"query": normal(2, 3, U), "memory": normal(2, 4, D)}
    batch["memory_mask"] = lengths_mask([4, 2], 4)
    loaded = tf.saved_model.load(str(tmp_path / "named"))
    with without_compilation():
        expected = model({name: ops.convert_to_tensor(one) for name, one in batch.items()})
    assert_close(loaded.serve(batch).numpy(), expected)


@pytest.mark.skipif(not ON_TORCH, reason="Torch's own format.")
def test_torch_exports_a_model_of_any_size_without_a_loop_over_steps(tmp_path):
    import torch

    model, path = summarizer(), str(tmp_path / "model.pt2")
    batch, places, steps = (torch.export.Dim(name, min=2) for name in ("batch", "places", "steps"))
    shapes = [([{0: batch, 1: places}, {0: batch, 1: steps}],)]
    model.export(path, format="torch", verbose=False, dynamic_shapes=shapes)
    inputs = [ops.convert_to_tensor(IDS), ops.convert_to_tensor(normal(2, 3, U))]
    found = torch.export.load(path).module()(inputs)
    assert_close(found.detach(), model(inputs).detach())


@pytest.mark.skipif(not ON_TORCH, reason="Torch's own format.")
def test_torch_exports_a_loop_over_steps_of_a_fixed_number(tmp_path):
    import torch

    inputs, path = keras.Input((3, U), batch_size=2), str(tmp_path / "model.pt2")
    model = keras.Model(inputs, layers.RNNEncoder([keras.layers.GRUCell(U)])(inputs)[0])
    model.export(path, format="torch", verbose=False)
    x = ops.convert_to_tensor(normal(1, 3, U))
    found = torch.export.load(path).module()(x)
    assert_close(found.detach(), model(x).detach())

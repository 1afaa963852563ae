"""Every attention that has a name, in a whole model: trained, decoded, saved, drawn, exported."""

import keras
import matplotlib.figure
import numpy as np
import pytest

from attnzoo import export, models, plotting
from attnzoo.layers.names import ATTENTIONS
from attnzoo.samplers import BeamSampler
from tests import tools
from tests.models import tiny
from tests.tools import assert_close

# One of each structure: stateless, stateful, stochastic, marginal, with heads.
KINDS = ("bahdanau", "coverage", "hard", "hard_exact", "multi_head")
# Exports of the others have tests of their own.
EXPORTED = sorted(set(ATTENTIONS) - {"bahdanau", "chunkwise", "hard_exact", "exact_monotonic"})

# In a graph these are others but for a score or a normalizer, which their contracts trace.
ALIKE = (
    *("bahdanau_normalized", "entmax15", "luong_concat", "luong_dot", "luong_general"),
    *("hard_gumbel", "hard_straight_through"),
)


@pytest.mark.graph
@pytest.mark.rotates("jax", "torch")
@pytest.mark.parametrize("name", tools.shared(sorted(ATTENTIONS), KINDS))
def test_a_model_with_it_trains_decodes_and_comes_back(name, tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), attention=name, dropout=0.1)
    before = [weight.numpy() for weight in task.trainable_weights]
    task.compile(optimizer=keras.optimizers.Adam(0.01))
    history = task.fit(tiny.WORDS, tiny.PHONEMES, batch_size=3, epochs=2, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))
    for weight, old in zip(task.trainable_weights, before, strict=True):
        new = weight.numpy()
        assert np.all(np.isfinite(new)), weight.path
        assert np.any(new != old), f"no gradient reached {weight.path}"

    # A search with one beam adds up log p step by step; a replay has all steps at once.
    greedy = task.generate(tiny.WORDS, return_scores=True, return_alignments=True)
    task.compile(sampler=BeamSampler(num_beams=1))
    single = task.generate(tiny.WORDS, return_scores=True)
    assert single["outputs"] == greedy["outputs"]
    assert_close(single["scores"], greedy["scores"], tolerance=1e-4)
    assert greedy["alignments"].shape[0] == len(tiny.WORDS)
    assert np.all(greedy["alignments"] >= 0.0)
    assert np.all(greedy["alignments"].sum(axis=-1) <= 1.0 + 1e-5)

    rows = greedy["alignments"][0]
    figure = plotting.plot_alignments(rows, "cat", [f"token {i}" for i in range(len(rows))])
    assert isinstance(figure, matplotlib.figure.Figure)

    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert loaded.backbone.get_config() == task.backbone.get_config()
    for weight, same in zip(task.weights, loaded.weights, strict=True):
        assert weight.path == same.path
        np.testing.assert_array_equal(weight.numpy(), same.numpy())


@pytest.mark.only("tensorflow")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in EXPORTED]
)
def test_a_model_with_it_is_exported(name, tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), attention=name)
    # Compared with the live model before it is where it belongs, or this raises.
    export.saved_model(task, tmp_path / "exported", sampler=BeamSampler(num_beams=2))
    assert (tmp_path / "exported" / "saved_model.pb").is_file()


def test_the_backbone_names_them_all():
    for name in ATTENTIONS:
        assert f'`"{name}"`' in models.RNNSeq2SeqBackbone.__doc__

"""Every attention that has a name, in a whole model: it trains, decodes and says the same twice."""

import keras
import numpy as np
import pytest

from attnzoo.layers.attention import ATTENTIONS
from attnzoo.samplers import BeamSampler
from tests.models import tiny
from tests.tools import assert_close


@pytest.mark.parametrize("name", sorted(ATTENTIONS))
def test_a_model_with_it_trains_and_decodes(name):
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

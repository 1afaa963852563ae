"""One decoding for `generate` and for exports: ids, scores and alignments in one pass."""

import numpy as np
import pytest
from keras import ops

from attnzoo import samplers
from attnzoo.models.tasks.decoding import name_outputs
from tests.models import tiny
from tests.models.tiny import END, WORDS

MAKERS = {
    "RNN": lambda: tiny.make_task(tiny.make_preprocessor()),
    "Transformer": tiny.make_transformer_seq2seq,
}


@pytest.fixture(scope="module", params=sorted(MAKERS))
def task(request):
    task = MAKERS[request.param]()
    task.run_eagerly = True  # Calls are counted.
    return task


def counted(monkeypatch, task, *names):
    """How often methods of the task are called, by name."""
    calls = dict.fromkeys(names, 0)

    def count(name):
        method = getattr(task, name)

        def call(*args, **kwargs):
            calls[name] += 1
            return method(*args, **kwargs)

        monkeypatch.setattr(type(task), name, lambda self, *args, **kwargs: call(*args, **kwargs))

    for name in names:
        count(name)
    return calls


@pytest.mark.parametrize(("sampler", "replays"), [("greedy", 0), ("beam", 0), ("top_k", 1)])
def test_a_source_is_encoded_once_and_only_draws_are_replayed(task, monkeypatch, sampler, replays):
    task.compile(sampler=sampler, run_eagerly=True)
    calls = counted(monkeypatch, task, "encode", "decode")
    task.generate(WORDS, return_scores=True, return_alignments=True)
    assert calls == {"encode": 1, "decode": replays}


def test_a_greedy_record_is_a_replay(task):
    task.compile(sampler="greedy")
    packed = task.preprocessor.generate_preprocess(WORDS)
    arguments = {"stop_token_ids": (END,), "return_alignments": True}
    found = task.compiled_methods("generate_step", packed, **arguments)
    names = ("decoder_token_ids", "decoder_padding_mask")
    replayed = task.replay_on_batch({**packed, **{name: found[name] for name in names}})
    for name in ("scores", "alignments"):
        np.testing.assert_allclose(found[name], replayed[name], atol=1e-5)


def test_the_alignments_of_a_beam_are_those_of_a_replay(task):
    task.compile(sampler=samplers.BeamSampler(4, num_hypotheses=2, length_penalty=0.6))
    packed = task.preprocessor.generate_preprocess(WORDS)
    arguments = {"stop_token_ids": (END,), "return_alignments": True}
    found = task.compiled_methods("generate_step", packed, **arguments)
    best = {name: found[name][:, 0] for name in ("decoder_token_ids", "decoder_padding_mask")}
    replayed = task.replay_on_batch({**packed, **best})
    np.testing.assert_allclose(found["alignments"], replayed["alignments"], atol=1e-5)
    assert found["scores"].shape == (len(WORDS), 2)


def test_outputs_lose_their_start_token_and_are_padded():
    decoded = {
        "decoder_token_ids": np.array([[2, 5, 3, 7]]),
        "decoder_padding_mask": np.array([[True, True, True, False]]),
        "scores": np.zeros(1),
        "alignments": np.zeros((1, 3, 2)),
    }
    found = name_outputs(decoded, padding=1)
    assert set(found) == {"token_ids", "scores", "alignments"}
    assert ops.convert_to_numpy(found["token_ids"]).tolist() == [[5, 3, 1]]

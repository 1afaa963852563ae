"""On torch the loop of a search is traced, and gives bit for bit what it gives as it is."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import models, samplers
from attnzoo.models.tasks.traced_search import TracedSearch, is_traceable
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.only("torch")

STOPS = (tiny.END,)


def beam(**arguments):
    return samplers.BeamSampler(3, length_penalty=0.6, **arguments)


def make_inputs(places=5, steps=7, seed=0, copies=False):
    """Two sources, the second padded, and prompts of one and two tokens."""
    draw = np.random.default_rng(seed)
    source_mask = tools.lengths_mask([places, places - 2], places)
    prompt_mask = tools.lengths_mask([1, 2], steps)
    prompt = np.full((2, steps), 5, "int32")
    prompt[:, 0] = tiny.START
    inputs = {
        "encoder_token_ids": draw.integers(4, 8, (2, places)).astype("int32") * source_mask,
        "encoder_padding_mask": source_mask,
        "decoder_token_ids": prompt * prompt_mask,
        "decoder_padding_mask": prompt_mask,
    }
    if copies:
        unknown = tiny.TARGET_VOCABULARY + np.arange(places, dtype="int32")
        inputs["copy_token_ids"] = np.where(source_mask, unknown, 0).astype("int32")
    return inputs


def generate(task, inputs, **arguments):
    return task.compiled_methods("generate_step", inputs, stop_token_ids=STOPS, **arguments)


def plainly(task, inputs, **arguments):
    task.run_eagerly = True
    found = generate(task, inputs, **arguments)
    task.run_eagerly = False
    return found


def assert_equal(found, expected):
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)


@pytest.fixture
def traces(monkeypatch):
    """The shapes for which a loop was looked up, and whether each was traced."""
    found = {}

    def find(self, search_with, roots, state, find=TracedSearch._find):
        loop = find(self, search_with, roots, state)
        found.update({shapes: loop is not None for shapes, loop in self._loops.items()})
        return loop

    monkeypatch.setattr(TracedSearch, "_find", find)
    return found


GREEDY = "greedy", {}
BEAM = beam(), {}
RECORDED = beam(coverage_penalty=0.2), {"return_alignments": True}
CASES = {
    "bahdanau": (tiny.make_task, GREEDY),
    "luong": (lambda: tiny.make_task(attention="luong", num_decoder_layers=2), RECORDED),
    "chunkwise": (lambda: tiny.make_task(attention="chunkwise"), BEAM),
    "exact_monotonic": (lambda: tiny.make_task(attention="exact_monotonic"), GREEDY),
    "pointer": (lambda: tiny.make_task(pointer_generator=True), BEAM),
    "transformer": (tiny.make_transformer_seq2seq, RECORDED),
}


@pytest.mark.parametrize("name", CASES)
def test_a_traced_loop_gives_what_the_loop_gives(name, traces):
    make, (sampler, arguments) = CASES[name]
    task = make()
    task.compile(sampler=sampler)
    for seed in range(3):  # The first call is plain, the second traces.
        inputs = make_inputs(seed=seed, copies=name == "pointer")
        found = generate(task, inputs, **arguments)
    assert_equal(found, plainly(task, inputs, **arguments))
    assert list(traces.values()) == [True]


def test_a_cache_that_grows_has_a_loop_for_each_size(traces, monkeypatch):
    monkeypatch.setattr("attnzoo.samplers.beam._FIRST_CACHE_LENGTH", 2)
    task, inputs = tiny.make_transformer_seq2seq(), make_inputs()
    task.compile(sampler=beam())
    found = [generate(task, inputs) for _ in range(2)]
    assert list(traces.values()) == [True, True]
    assert_equal(found[1], found[0])


def test_a_traced_loop_reads_the_weights_of_its_time():
    task, inputs = tiny.make_task(), make_inputs()
    task.compile(sampler=beam())
    before = [generate(task, inputs) for _ in range(2)][1]
    for weight in task.weights:
        weight.assign(weight * -0.5)
    assert_equal(generate(task, inputs), plainly(task, inputs))
    assert not np.array_equal(generate(task, inputs)["scores"], before["scores"])


def test_a_quantized_task_is_traced_anew(traces):
    task, inputs = tiny.make_transformer_seq2seq(), make_inputs()
    task.compile(sampler="greedy")
    for _ in range(2):
        generate(task, inputs)
    task.quantize("int8")
    found = [generate(task, inputs) for _ in range(2)]
    assert list(traces.values()) == [True]
    assert_equal(found[1], found[0])


def test_half_precision_is_traced(traces):
    policy = keras.DTypePolicy("mixed_bfloat16")
    sizes = tiny.SOURCE_VOCABULARY, tiny.TARGET_VOCABULARY
    task = models.RNNSeq2SeqLM(
        models.RNNSeq2SeqBackbone(*sizes, dtype=policy, **tiny.FAMILIES["RNN"])
    )
    task.compile(sampler=beam())
    found = [generate(task, make_inputs()) for _ in range(2)]
    assert list(traces.values()) == [True]
    assert_equal(found[1], found[0])


class Asking(keras_hub.samplers.GreedySampler):
    """A sampler that reads values, as no trace can."""

    def get_next_token(self, probabilities):
        assert float(probabilities.max()) <= 1.0
        return super().get_next_token(probabilities)


def test_a_loop_that_cannot_be_traced_runs_as_it_is(traces):
    task, inputs = tiny.make_task(), make_inputs()
    task.compile(sampler=Asking())
    found = [generate(task, inputs) for _ in range(3)]
    assert list(traces.values()) == [False]
    assert_equal(found[2], found[0])


def test_a_sampler_that_draws_is_not_traced(traces):
    task, inputs = tiny.make_task(), make_inputs()
    task.compile(sampler=keras_hub.samplers.TopKSampler(k=5, seed=1))
    assert not is_traceable(task.sampler)
    found = [generate(task, inputs)["decoder_token_ids"] for _ in range(8)]
    assert not traces
    assert any(not np.array_equal(one, found[0]) for one in found)


def test_an_index_that_is_a_tensor_selects_as_a_number_does():
    import torch

    from attnzoo.models.tasks.torch_graphs import _indices_stay_tensors

    rows, place = torch.arange(30).reshape(2, 3, 5), torch.tensor(2)
    with _indices_stay_tensors():
        found = [rows[:, place], rows[:, place, None], rows[:, :, place], rows[1:, place, 2:]]
    expected = [rows[:, 2], rows[:, 2, None], rows[:, :, 2], rows[1:, 2, 2:]]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)

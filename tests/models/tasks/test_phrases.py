"""Rules of an output in a task: phrases are texts, of the target's tokenizer."""

import numpy as np
import pytest

from attnzoo.models.tasks.phrases import sampler_of
from attnzoo.samplers import BeamSampler
from tests import tools
from tests.models import tiny


@pytest.fixture(scope="module")
def task():
    return tiny.make_task(tiny.make_preprocessor())


@pytest.mark.shared("torch")
@pytest.mark.parametrize("beams", [1, 4])
def test_outputs_keep_the_rules(task, beams):
    task.compile(
        sampler=BeamSampler(
            beams,
            forced_prefix="HH",
            banned_phrases=["T", "AE K", [0], [1], [2]],  # No special tokens either.
            wanted_phrases=["CH DH"],
            no_repeat_ngram_size=2,
            min_length=4,
        )
    )
    for output in task.generate(tiny.WORDS, max_length=9):
        assert output.startswith("HH ") and "CH DH" in output
        assert "T" not in output.split() and "AE K" not in output
        symbols = output.split()
        pairs = list(zip(symbols, symbols[1:], strict=False))
        assert len(symbols) >= 5 and len(set(pairs)) == len(pairs)


@pytest.mark.shared("torch")
def test_a_prompt_takes_the_place_of_the_prefix(task):
    task.compile(sampler=BeamSampler(2, forced_prefix="HH"))
    inputs = {"encoder_text": ["cat", "hat"], "decoder_text": ["K AE", "DH"]}
    outputs = task.generate(inputs)
    assert outputs[0].startswith("K AE") and outputs[1].startswith("DH")


@pytest.mark.only("tensorflow")
def test_texts_become_ids_while_a_graph_is_traced(task):
    import tensorflow as tf

    found = []
    task.compile(sampler=BeamSampler(2, banned_phrases=["AE T", "K"]))

    @tf.function(autograph=False)
    def trace():
        found.extend(sampler_of(task).rules.banned_phrases)
        return tf.constant(0)

    with tools.traced():
        trace()
    tokenizer = task.preprocessor.tokenizer
    assert found == [tokenizer.tokenize("AE T"), tokenizer.tokenize("K")]


@pytest.mark.backend_free
def test_phrases_that_no_output_can_have_are_refused(task):
    task.compile(sampler=BeamSampler(2, wanted_phrases=["K XX"]))
    with pytest.raises(ValueError, match="the target's tokenizer knows. Received: 'K XX'"):
        task.generate(["cat"])
    task.compile(sampler=BeamSampler(2, wanted_phrases=[[4, 10]]))
    with pytest.raises(ValueError, match=r"vocabulary size, 10. Received: \[4, 10\]"):
        task.generate(["cat"])
    bare = tiny.make_task()
    bare.compile(sampler=BeamSampler(2, forced_prefix="K"))
    with pytest.raises(ValueError, match="need a preprocessor.* Received: 'K'"):
        bare.generate(tiny.make_inputs(), stop_token_ids=(tiny.END,))


@pytest.mark.shared("torch")
def test_a_task_without_phrases_keeps_its_sampler(task):
    for sampler in ("greedy", BeamSampler(2, min_length=2)):
        task.compile(sampler=sampler)
        assert sampler_of(task) is task.sampler
    assert np.size(task.generate("cat"))

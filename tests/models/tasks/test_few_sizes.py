"""Any number of inputs: few sizes are compiled, warm calls run no Python, and nothing is lost."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo.models.tasks import compiled_methods
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.graph

WORDS = tiny.WORDS * 2


@pytest.fixture(scope="module")
def seq2seq():
    return tiny.make_task(tiny.make_preprocessor(), scale=2.0)


@pytest.fixture(scope="module")
def classifier():
    return tiny.make_classifier(scale=2.0)


def count_traces(task, method):
    """A list that grows whenever Python enters a method of a task."""
    entered, own = [], getattr(task, method)

    def counting(*args, **kwargs):
        entered.append(1)
        return own(*args, **kwargs)

    object.__setattr__(task, method, counting)
    return entered


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch compiles nothing")
def test_few_numbers_of_texts_are_compiled(seq2seq, classifier):
    uses = {
        "generate_step": (seq2seq, lambda count: seq2seq.generate(WORDS[:count], max_length=3)),
        "compute_results": (classifier, lambda count: classifier.classify(tiny.TEXTS[:1] * count)),
    }
    for method, (task, use) in uses.items():
        entered = count_traces(task, method)
        for count in (3, 4, 5, 6, 7, 8, 3):
            assert len(use(count)) == count
        assert 1 <= len(entered) <= 2


def test_every_layer_is_built_once_a_task_has_answered(seq2seq):
    entered = count_traces(seq2seq, "decode")
    uses = (
        lambda: seq2seq.generate(["cat", "hat"], return_scores=True, return_alignments=True),
        lambda: seq2seq.alignments((["cat", "hat"], ["K AE T", "T"])),
    )
    first = [use() for use in uses]
    assert not [layer.name for layer in seq2seq._flatten_layers() if not layer.built]
    entered.clear()
    keras.tree.map_structure(np.testing.assert_array_equal, [use() for use in uses], first)
    if keras.backend.backend() != "torch":
        assert not entered


def test_rows_that_fill_a_batch_change_nothing(seq2seq, classifier):
    """Three texts are filled to four; in batches of two the last is filled from one to two."""
    whole = seq2seq.generate(tiny.WORDS[:3], return_scores=True, return_alignments=True)
    parts = seq2seq.generate(
        tiny.WORDS[:3], return_scores=True, return_alignments=True, batch_size=2
    )
    single = [seq2seq.generate(word, return_scores=True) for word in tiny.WORDS[:3]]
    assert whole["outputs"] == parts["outputs"] == [one["outputs"][0] for one in single]
    np.testing.assert_allclose(whole["scores"], parts["scores"], rtol=1e-4)
    np.testing.assert_allclose(whole["scores"], [one["scores"][0] for one in single], rtol=1e-4)
    np.testing.assert_allclose(whole["alignments"], parts["alignments"], atol=1e-5)
    known = tiny.WORDS[:3], tiny.PHONEMES[:3]
    looked = [seq2seq.alignments(known, batch_size=size) for size in (2, 32)]
    np.testing.assert_allclose(*looked, atol=1e-5)
    for size in (2, 4):
        found = classifier.classify(tiny.TEXTS[:3], return_probabilities=True, batch_size=size)
        alone = classifier.classify(tiny.TEXTS[:3], return_probabilities=True, batch_size=1)
        assert found["labels"] == alone["labels"]
        np.testing.assert_allclose(found["probabilities"], alone["probabilities"], rtol=1e-4)


def test_what_is_predicted_is_cut_to_what_was_asked(classifier):
    expected = tools.to_numpy(classifier(classifier.preprocessor(tiny.TEXTS[:3])))
    for size in (2, None):
        found = classifier.predict(tiny.TEXTS[:3], batch_size=size, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_ids_are_filled_too():
    task = tiny.make_task(scale=2.0)
    inputs = tiny.make_inputs((5, 3, 4), (1, 1, 1), steps=4)
    whole = task.generate(inputs, stop_token_ids=(tiny.END,), return_scores=True)
    parts = task.generate(inputs, stop_token_ids=(tiny.END,), return_scores=True, batch_size=1)
    keras.tree.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4), whole, parts
    )
    assert whole["outputs"]["decoder_token_ids"].shape == (3, 4)


def test_a_dataset_is_generated_for_batch_by_batch(seq2seq):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(tiny.WORDS[:3])
    assert seq2seq.generate(dataset.batch(2)) == seq2seq.generate(tiny.WORDS[:3])
    with pytest.raises(ValueError, match="^A dataset must have batches"):
        seq2seq.generate(dataset)
    with pytest.raises(ValueError, match="^There must be at least one batch. Received: none"):
        seq2seq.generate(dataset.take(0).batch(2))


def test_a_sampler_that_draws_gives_the_same_again():
    def draw():
        task = tiny.make_task(tiny.make_preprocessor())
        task.compile(sampler=keras_hub.samplers.RandomSampler(seed=5))
        return [task.generate(tiny.WORDS[:3]) for _ in range(2)]

    first, second = draw()
    assert [first, second] == draw()
    assert first != second  # It goes on from where it was.


def test_few_methods_are_kept(monkeypatch):
    monkeypatch.setattr(compiled_methods, "_MOST", 2)
    task = tiny.make_classifier()
    found = [task.classify(tiny.TEXTS[:count]) for count in (1, 2, 3, 1)]
    assert found[0] == found[3]
    assert len(task.compiled_methods._kept[1]) <= 2

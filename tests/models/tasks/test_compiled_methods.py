"""What a task has compiled of its methods is no part of it where weights are saved and loaded."""

import keras
import numpy as np
import pytest

from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.graph


def make_seq2seq():
    return tiny.make_task(tiny.make_preprocessor())


USES = {
    "seq2seq": (make_seq2seq, lambda task: task.alignments((["cat"], ["K AE T"]))),
    "classifier": (tiny.make_classifier, lambda task: task.classify(tiny.TEXTS)),
    "saliency": (tiny.make_classifier, lambda task: task.saliency(tiny.TEXTS)),
    "tagger": (tiny.make_tagger, lambda task: task.tag(tiny.TEXTS)),
    "masked_lm": (lambda: tiny.make_transformer("MaskedLM"), lambda task: task.fill("a [MASK]")),
    "span_qa": (
        lambda: tiny.make_transformer("SpanQA"),
        lambda task: task.answer([("good", "a good film")]),
    ),
    "embedder": (
        lambda: tiny.make_transformer("SentenceEmbedder"),
        lambda task: task.embed(tiny.TEXTS),
    ),
}


@pytest.mark.parametrize("name", USES)
def test_weights_are_saved_and_loaded_after_a_task_was_used(name, tmp_path):
    make, use = USES[name]
    task, path = make(), str(tmp_path / "a.weights.h5")
    before = use(task)
    task.save_weights(path)
    weights = [tools.to_numpy(weight) for weight in task.weights]
    for weight in task.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    task.load_weights(path)
    for weight, value in zip(task.weights, weights, strict=True):
        np.testing.assert_array_equal(tools.to_numpy(weight), value)
    # What was compiled has the weights of the task, whatever they are now.
    keras.tree.map_structure(np.testing.assert_array_equal, use(task), before)
    other = make()
    other.load_weights(path)
    keras.tree.map_structure(np.testing.assert_array_equal, use(other), before)


def test_a_task_has_the_weights_it_had_before_it_was_used():
    task = tiny.make_classifier()
    count, layers = task.count_params(), len(task.layers)
    task.saliency(tiny.TEXTS)
    assert (task.count_params(), len(task.layers)) == (count, layers)
    assert len(task.weights) == len({id(weight) for weight in task.weights})


def test_a_method_is_compiled_once():
    task = tiny.make_classifier()
    traced = []
    read = task.read
    object.__setattr__(task, "read", lambda inputs: traced.append(1) or read(inputs))
    task.classify(tiny.TEXTS)
    once = len(traced)
    task.classify(tiny.TEXTS)
    assert once
    if keras.backend.backend() != "torch":  # There each call runs the method.
        assert len(traced) == once

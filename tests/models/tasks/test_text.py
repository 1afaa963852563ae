"""What the tasks that read texts share: what they refuse before training."""

import numpy as np
import pytest

from attnzoo.models.tasks.samples import is_samples, make_dataset
from tests.models import tiny


@pytest.mark.shared("torch")
def test_token_ids_outside_the_vocabulary_are_seen_before_training():
    task = tiny.make_transformer("SpanQA", None)
    task.compile("sgd", run_eagerly=True)
    inputs = tiny.make_text_inputs((5, 5))
    inputs["span_mask"] = inputs["padding_mask"].copy()
    answers = np.array([[0, 1], [2, 2]])
    assert np.isfinite(task.fit(inputs, answers, verbose=0).history["loss"]).all()
    outside = {**inputs, "token_ids": inputs["token_ids"] - 11}
    message = r"`token_ids` must be ids of the vocabulary, in \[0, 12\). Received: -"
    with pytest.raises(ValueError, match=message):
        task.fit(outside, answers)
    with pytest.raises(ValueError, match=message):
        task.fit(inputs, answers, validation_data=(outside, answers))


def test_lists_as_long_as_each_other_are_arrays():
    samples = {"token_ids": [[1, 2], [3, 4], [5, 6]]}, [[1.0, 0.5], [0.0, 1.0], [1.0, 1.0]]
    ((x, weight), _) = make_dataset(samples, 2, shuffle=False)
    np.testing.assert_array_equal(x["token_ids"].numpy(), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(weight.numpy(), [[1.0, 0.5], [0.0, 1.0]])
    ((ragged,), *_) = make_dataset(([[1], [2, 3]],), None, shuffle=False)
    assert ragged.to_list() == [[1], [2, 3]]


def test_sequences_are_samples_and_batches_are_not():
    assert all(is_samples(one) for one in (["a"], ("a",), "a", np.array([1]), {}, range(3)))
    dataset = make_dataset((np.arange(3),), 2, shuffle=True)
    assert not any(is_samples(one) for one in (dataset, iter([]), None))

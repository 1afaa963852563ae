"""What the tasks that read texts share: what they refuse before training."""

import numpy as np
import pytest

from tests.models import tiny


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

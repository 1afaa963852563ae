"""The recurrent tagger is an encoder and one layer on each of its vectors."""

import keras
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny


def test_it_is_an_encoder_and_one_layer():
    task = tiny.make_tagger(None)
    inputs = tiny.make_text_inputs()
    logits = task.output_dense(task.backbone(inputs)["sequence_output"])
    tools.assert_close(task(inputs), logits)
    assert tuple(logits.shape) == (2, 5, 5)


def test_more_padding_changes_nothing():
    task = tiny.make_tagger(None)
    few, more = (tools.to_numpy(task(tiny.make_text_inputs(places=n))) for n in (5, 7))
    np.testing.assert_allclose(more[:, :5], few, atol=1e-5)


def test_the_config_makes_the_same_task_again():
    task = tiny.make_tagger(dropout=0.2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert again.class_names == tiny.TAG_NAMES and again.num_classes == 5
    assert again.dropout == 0.2
    assert [w.shape for w in again.weights] == [w.shape for w in task.weights]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`dropout` must be in .* Received: dropout=1.0"):
        tiny.make_tagger(None, dropout=1.0)
    with pytest.raises(ValueError, match="without white space. Received: 'N N'"):
        models.RNNTokenTagger(tiny.make_encoder(), class_names=["N N"])

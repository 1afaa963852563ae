"""The attentive classifier is its layers, one after the other."""

import keras
import numpy as np
import pytest

from attnzoo import layers
from tests import tools
from tests.models import tiny


@pytest.mark.parametrize("arguments", [{}, {"num_hops": 3, "normalizer": "sparsemax"}])
def test_it_is_an_encoder_a_pooling_and_one_layer(arguments):
    task = tiny.make_classifier(None, **arguments)
    inputs = tiny.make_text_inputs()
    memory = task.backbone(inputs)["sequence_output"]
    pooled, alignments = task.pooling(memory, inputs["padding_mask"], return_alignments=True)
    logits = task.output_dense(pooled)
    tools.assert_close(task(inputs), logits)
    tools.assert_close(task.read(inputs), {"logits": logits, "alignments": alignments})
    assert tuple(logits.shape) == (2, 3)


def test_more_padding_changes_nothing():
    task = tiny.make_classifier(None, num_hops=2)
    few, more = (tools.to_numpy(task.read(tiny.make_text_inputs(places=n))) for n in (5, 7))
    np.testing.assert_allclose(more["logits"], few["logits"], atol=1e-5)
    np.testing.assert_allclose(more["alignments"][:, :, :5], few["alignments"], atol=1e-5)
    assert (more["alignments"][:, :, 5:] == 0).all()
    assert (few["alignments"][1, :, 3:] == 0).all()
    np.testing.assert_allclose(few["alignments"].sum(axis=-1), 1, rtol=1e-5)


def test_the_penalty_is_a_part_of_the_loss_of_training():
    task = tiny.make_classifier(None, num_hops=3, penalty=0.7)
    assert isinstance(task.pooling, layers.AttentivePooling)
    inputs = tiny.make_text_inputs()
    alignments = tools.to_numpy(task.read(inputs))["alignments"].astype("float64")
    both = alignments @ np.swapaxes(alignments, 1, 2) - np.eye(3)
    task(inputs, training=True)
    expected = 0.7 * np.square(both).sum(axis=(1, 2)).mean()
    assert float(task.losses[0]) == pytest.approx(expected, rel=1e-4)


def test_the_config_makes_the_same_task_again():
    arguments = {
        "attention_units": 5,
        "num_hops": 2,
        "penalty": 0.1,
        "normalizer": "entmax15",
        "dropout": 0.2,
    }
    task = tiny.make_classifier(**arguments)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert {name: again.get_config()[name] for name in arguments} == arguments
    assert again.class_names == tiny.CLASSES and again.num_classes == 3
    assert [w.shape for w in again.weights] == [w.shape for w in task.weights]
    assert task.pooling.units == 5
    assert tiny.make_classifier().pooling.units == 6


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_hops": 0}, "`num_hops` must .* Received: num_hops=0"),
        ({"attention_units": 0}, "`attention_units` must .* Received: attention_units=0"),
        ({"penalty": -1.0}, "`penalty` must .* Received: penalty=-1.0"),
        ({"normalizer": "max"}, "Received: normalizer='max'"),
        ({"dropout": 1.0}, "`dropout` must be in .* Received: dropout=1.0"),
        ({"num_classes": 2}, "Received: num_classes=2 with 3 names"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny.make_classifier(None, **arguments)

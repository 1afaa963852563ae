"""The recurrent encoder: what it refuses, what it gives, and what padding does to it (nothing)."""

import keras
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

CONFIGURATIONS = [
    {},
    {"cell": "gru", "num_layers": 2, "dropout": 0.3},
    {"cell": "simple", "bidirectional": False, "hidden_dim": 7, "recurrent_dropout": 0.2},
]


def make(**arguments):
    backbone = tiny.make_encoder(**arguments)
    tools.set_weights(backbone, scale=1.0)
    return backbone


def test_it_gives_a_vector_for_every_token():
    outputs = make()(tiny.make_text_inputs())
    assert set(outputs) == {"sequence_output"}
    assert tuple(outputs["sequence_output"].shape) == (2, 5, 6)
    assert make().token_embedding.output_dim == 5


@pytest.mark.parametrize("arguments", CONFIGURATIONS)
def test_more_padding_changes_nothing(arguments):
    backbone = make(**arguments)
    few, more = (
        tools.to_numpy(backbone(tiny.make_text_inputs(places=n)))["sequence_output"] for n in (5, 7)
    )
    np.testing.assert_allclose(more[:, :5], few, atol=1e-6)
    assert (more[:, 5:] == 0).all() and (few[1, 3:] == 0).all()


@pytest.mark.parametrize("arguments", CONFIGURATIONS)
def test_the_config_makes_the_same_network_again(arguments):
    backbone = make(**arguments)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    assert again.get_config() == backbone.get_config()
    assert {name: again.get_config()[name] for name in arguments} == arguments
    again.set_weights(backbone.get_weights())
    inputs = tiny.make_text_inputs()
    tools.assert_close(again(inputs), backbone(inputs), tolerance=1e-6)


def test_dropout_acts_in_training_only():
    inputs = tiny.make_text_inputs()
    dropping = make(dropout=0.5, recurrent_dropout=0.5)
    tools.assert_close(dropping(inputs), make()(inputs), tolerance=1e-6)
    one, other = (tools.to_numpy(dropping(inputs, training=True)) for _ in range(2))
    assert np.abs(one["sequence_output"] - other["sequence_output"]).max() > 1e-3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` .* Received: vocabulary_size=0"),
        ({"embedding_dim": 0}, "`embedding_dim` .* Received: embedding_dim=0"),
        ({"hidden_dim": 0}, "`hidden_dim` .* Received: hidden_dim=0"),
        ({"num_layers": 0}, "`num_layers` .* Received: num_layers=0"),
        ({"hidden_dim": 7}, "`hidden_dim` must be even .* Received: hidden_dim=7"),
        ({"cell": "mgu"}, r"one of \['gru', 'lstm', 'simple'\]. Received: cell='mgu'"),
        ({"dropout": 1.0}, "`dropout` must be in .* Received: dropout=1.0"),
        ({"recurrent_dropout": -0.1}, "`recurrent_dropout` .* Received: recurrent_dropout=-0.1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.RNNEncoderBackbone(**{"vocabulary_size": 11, **arguments})


def test_keras_hub_cannot_save_the_low_rank_weights_of_an_embedding():
    backbone = make()
    for method in (backbone.save_lora_weights, backbone.load_lora_weights):
        with pytest.raises(NotImplementedError, match="save_to_preset.* filepath='x.lora.h5'"):
            method("x.lora.h5")

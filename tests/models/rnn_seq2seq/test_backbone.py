"""The network: what it refuses, what it gives, and what padding does to it (nothing)."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers, models
from tests import tools
from tests.models import tiny

B, S, T = 2, 5, 3


@pytest.fixture(scope="module")
def backbone():
    return tiny.make_task().backbone


def test_it_gives_a_vector_for_every_token_of_both_sides(backbone):
    outputs = backbone(tiny.make_inputs())
    assert tuple(outputs["encoder_sequence_output"].shape) == (B, S, 6)
    assert tuple(outputs["decoder_sequence_output"].shape) == (B, T, 6)


def test_tied_it_gives_vectors_of_the_embedding_s_width():
    backbone = tiny.make_task(tie_embeddings=True).backbone
    assert backbone.output["decoder_sequence_output"].shape == (None, None, 5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"source_vocabulary_size": 0}, "`source_vocabulary_size` .* Received: .*=0"),
        ({"target_vocabulary_size": -1}, "`target_vocabulary_size` .* Received: .*=-1"),
        ({"embedding_dim": 0}, "`embedding_dim` .* Received: embedding_dim=0"),
        ({"hidden_dim": 0}, "`hidden_dim` .* Received: hidden_dim=0"),
        ({"num_encoder_layers": 0}, "`num_encoder_layers` .* Received: .*=0"),
        ({"num_decoder_layers": 0}, "`num_decoder_layers` .* Received: .*=0"),
        ({"hidden_dim": 7}, "`hidden_dim` must be even .* Received: hidden_dim=7"),
        ({"cell": "mgu"}, r"one of \['gru', 'lstm', 'simple'\]. Received: cell='mgu'"),
        ({"attention": "bahdanu"}, "'bahdanau'.*'luong_dot'.* Received: attention='bahdanu'"),
        ({"attention": 3}, "`attention` must be an `Attention` .* Received: attention=3"),
        ({"attend": "during"}, "Received: attend='during'"),
        ({"attend": "before", "input_feeding": True}, "Received: input_feeding=True"),
        ({"bridge": "stone"}, "Received: kind='stone'"),
        ({"bridge": "copy"}, r"`kind=\"dense\"` takes any. Received: .*\[3, 3, 3, 3\]"),
        ({"dropout": 1.0}, "`dropout` must be in .* Received: dropout=1.0"),
        ({"recurrent_dropout": -0.1}, "`recurrent_dropout` .* Received: recurrent_dropout=-0.1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {
        "source_vocabulary_size": 8,
        "target_vocabulary_size": 10,
        "embedding_dim": 5,
        "hidden_dim": 6,
        **arguments,
    }
    sizes = [arguments.pop(f"{side}_vocabulary_size") for side in ("source", "target")]
    with pytest.raises(ValueError, match=message):
        models.RNNSeq2SeqBackbone(*sizes, **arguments)


def test_the_order_is_that_of_the_mechanism_s_paper():
    assert tiny.make_task(attention="bahdanau_normalized").backbone.attend == "before"
    luong = tiny.make_task(attention="luong").backbone
    assert luong.attend == "after"
    assert luong.input_feeding is True


@pytest.mark.parametrize(
    "arguments",
    [
        {"cell": "gru", "num_encoder_layers": 2, "num_decoder_layers": 2, "attention": "luong"},
        {"bidirectional": False, "bridge": "copy", "tie_embeddings": True, "dropout": 0.3},
        {"attention": "instance", "attend": "after", "input_feeding": False, "cell": "simple"},
    ],
)
def test_the_config_makes_the_same_network_again(arguments):
    if arguments.get("attention") == "instance":
        score = layers.BilinearScore()
        arguments = {**arguments, "attention": layers.SoftAttention(score, name="attention")}
    backbone = tiny.make_task(**arguments).backbone
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    assert [w.shape for w in again.weights] == [w.shape for w in backbone.weights]
    config, config_again = backbone.get_config(), again.get_config()
    assert config == config_again
    assert {name: config[name] for name in arguments if name != "attention"} == {
        name: value for name, value in arguments.items() if name != "attention"
    }
    again.set_weights(backbone.get_weights())
    inputs = tiny.make_inputs()
    tools.assert_close(again(inputs), backbone(inputs), tolerance=1e-6)


def test_dropout_acts_in_training_only():
    backbone = tiny.make_task(dropout=0.5, recurrent_dropout=0.5).backbone
    plain = tiny.make_task().backbone
    inputs = tiny.make_inputs()
    tools.assert_close(backbone(inputs), plain(inputs), tolerance=1e-6)
    one, other = (tools.to_numpy(backbone(inputs, training=True)) for _ in range(2))
    for name in one:
        assert np.abs(one[name] - other[name]).max() > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_recurrent_dropout_alone_acts_in_training(cell):
    backbone = tiny.make_task(cell=cell, recurrent_dropout=0.5).backbone
    inputs = tiny.make_inputs()
    resting, training = (
        ops.convert_to_numpy(backbone(inputs, training=training)["encoder_sequence_output"])
        for training in (False, True)
    )
    # Before the first step there is nothing to drop.
    forward = resting[:, 0, :3], training[:, 0, :3]
    np.testing.assert_allclose(*forward, rtol=1e-5, atol=1e-6)
    assert np.abs(resting - training).max() > 1e-3

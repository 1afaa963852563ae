"""The Transformer encoder: what it refuses, what it gives, and what padding does to it."""

import keras
import numpy as np
import pytest

from attnzoo import layers, models
from tests import tools
from tests.models import tiny

CONFIGURATIONS = {
    "plain": {},
    "post": {"block": {"norm_first": False, "norm": "rms", "activation": "geglu"}},
    "learned": {"position": "learned", "max_length": 11, "feed_forward_dim": 13},
    "rotary": {"position": "rotary", "block": {"attention": {"num_key_value_heads": 1}}},
    "t5": {"position": "t5", "share_position": True},
    "none": {"position": None, "dropout": 0.3},
}


def make(**arguments):
    backbone = tiny.make_transformer_encoder(**arguments)
    tools.set_weights(backbone, scale=0.5)
    return backbone


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_gives_vectors_and_alignments_that_padding_does_not_change(name):
    backbone = make(**CONFIGURATIONS[name])

    def run(inputs):
        outputs = backbone(inputs)["sequence_output"]
        ids, mask = inputs["token_ids"], inputs["padding_mask"]
        return outputs, backbone.encode(ids, mask, return_alignments=True)

    outputs, (again, alignments) = tools.to_numpy(tools.compiled(run)(tiny.make_text_inputs()))
    assert outputs.shape == (2, 5, 8) and alignments.shape == (2, 3, 2, 5, 5)
    np.testing.assert_allclose(again, outputs, atol=1e-5)
    np.testing.assert_allclose(alignments.sum(axis=-1), 1, rtol=1e-5)
    assert (alignments[1, ..., 3:] == 0).all()
    more, (_, more_alignments) = tools.to_numpy(
        tools.compiled(run)(tiny.make_text_inputs(places=7))
    )
    for row, length in enumerate((5, 3)):
        np.testing.assert_allclose(more[row, :length], outputs[row, :length], atol=1e-5)
        np.testing.assert_allclose(
            more_alignments[row, ..., :length, :length],
            alignments[row, ..., :length, :length],
            atol=1e-5,
        )


@pytest.mark.rotates
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_config_makes_the_same_network_again(name):
    backbone = make(**CONFIGURATIONS[name])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    assert again.get_config() == backbone.get_config()
    assert {key: again.get_config()[key] for key in CONFIGURATIONS[name]} == CONFIGURATIONS[name]
    again.set_weights(backbone.get_weights())
    inputs = tiny.make_text_inputs()
    run = tools.compiled(lambda inputs: (again(inputs), backbone(inputs)))
    tools.assert_close(*run(inputs), tolerance=1e-6)


@pytest.mark.rotates
@pytest.mark.parametrize("way", ["file", "preset"])
@pytest.mark.parametrize("part", ["position", "score"])
def test_an_instance_is_one_for_all_blocks_and_stays_it(part, way, tmp_path):
    block = {
        "position": {"position": layers.T5Position(2)},
        "score": {"attention": {"score": layers.AdditiveScore(3)}},
    }[part]
    backbone = make(position=None, block=block)
    if way == "file":
        backbone.save(tmp_path / "backbone.keras")
        loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    else:
        backbone.save_to_preset(tmp_path)
        loaded = models.TransformerEncoderBackbone.from_preset(str(tmp_path))
    for one in (backbone, loaded):
        parts = [getattr(block.self_attention, part) for block in one.blocks]
        assert parts[0] is parts[1] is parts[2] and parts[0].weights
    assert loaded.get_config() == backbone.get_config()
    inputs = tiny.make_text_inputs()
    run = tools.compiled(lambda inputs: (loaded(inputs), backbone(inputs)))
    tools.assert_close(*run(inputs), tolerance=1e-6)


@pytest.mark.parametrize("position", ["relative", "rotary", "t5"])
def test_a_position_within_attention_has_weights_there_alone(position):
    backbone = tiny.make_transformer_encoder(position=position)
    owners = {weight.path.split("/")[0] for weight in backbone.weights if "table" in weight.path}
    blocks = {f"block_{i}" for i in range(len(backbone.blocks))}
    assert owners == (set() if position == "rotary" else blocks)


def test_places_are_told_apart_by_positions_alone():
    inputs = tiny.make_text_inputs((5, 5))
    turned = {**inputs, "token_ids": inputs["token_ids"][:, ::-1]}
    for position, differs in ((None, False), ("sinusoidal", True)):
        run = tools.compiled(make(position=position))
        one, other = (tools.to_numpy(run(x))["sequence_output"] for x in (inputs, turned))
        assert (np.abs(one - other[:, ::-1]).max() > 1e-2) == differs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 0}, "`hidden_dim` .* Received: hidden_dim=0"),
        ({"num_heads": 3}, "must divide `hidden_dim`. Received: num_heads=3, hidden_dim=8"),
        (
            {"hidden_dim": 10, "num_heads": 3, "position": "rotary"},
            "must divide `hidden_dim`. Received: num_heads=3, hidden_dim=10",
        ),
        ({"num_layers": 0}, "`num_layers` .* Received: num_layers=0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
        ({"position": "learned"}, "give `max_length`.* Received: position='learned', max_length"),
        ({"position": "where"}, "Received: position='where'"),
        (
            {"position": layers.RotaryPosition()},
            "one of the names .*'rotary'.* Received: position=<RotaryPosition",
        ),
        ({"block": {"attention": {"heads": 4}}}, "Received: {'heads': 4}"),
        ({"block": {"norm": "batch"}}, "Received: norm='batch'"),
        ({"share_position": True}, "Received: share_position=True with position='sinusoidal'"),
        ({"share_position": True, "position": None}, "share_position=True with position=None"),
        (
            {"share_position": True, "position": "t5", "block": {"position": "rotary"}},
            "Received: share_position=True with position='t5', block={'position': 'rotary'}",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny.make_transformer_encoder(**arguments)
    with pytest.raises(ValueError, match="`vocabulary_size` .* Received: vocabulary_size=0"):
        models.TransformerEncoderBackbone(0)

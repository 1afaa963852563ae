import keras
import pytest

from attnzoo.models import HATBackbone, HATSuperResolution
from tests.models.hat import tiny
from tests.tools import assert_close, normal, set_weights


def test_features_follow_the_equations():
    backbone = tiny.make_backbone()
    set_weights(backbone, scale=0.2)
    images = normal(1, 5, 7, 3, seed=1)
    assert_close(backbone(images), tiny.features(images, backbone), tolerance=1e-4)


def test_stochastic_depth_grows_from_block_to_block():
    backbone = tiny.make_backbone(depths=[2, 1], stochastic_depth=0.2)
    rates = [block.stochastic_depth for group in backbone.groups for block in group.blocks]
    assert rates == [0.0, 0.1, 0.2]


@pytest.mark.slow
@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 20_772_507),
        ({"hidden_dim": 144, "compress_ratio": 24, "squeeze_factor": 24}, 9_621_183),
        ({"depths": [6] * 12}, 40_846_575),
    ],
    ids=["HAT", "HAT-S", "HAT-L"],
)
def test_models_of_the_paper_have_its_numbers_of_parameters(arguments, count):
    assert HATSuperResolution(HATBackbone(**arguments), scale=4).count_params() == count


@pytest.mark.shared("torch")
def test_a_config_makes_the_same_backbone():
    backbone = tiny.make_backbone(num_channels=1, overlap_ratio=1.0, feed_forward_dim=7)
    assert backbone.image_mean == [0.0]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    assert again.get_config() == backbone.get_config()
    assert again.count_params() == backbone.count_params()


@pytest.mark.backend_free
def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`depths` must have one number or more.*depths=\[\]"):
        HATBackbone(6, [])
    with pytest.raises(ValueError, match=r"for each channel. Received: image_mean=\[0.5\]"):
        HATBackbone(6, [1], image_mean=[0.5])

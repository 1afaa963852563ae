import keras
import numpy as np
import pytest

from attnzoo.models import AttentionResNetBackbone, BoTNetBackbone
from tests.tools import assert_close, normal, set_weights

SMALL = {"filters": (4, 8), "num_blocks": (1, 1), "strides": (1, 2), "stem": "small"}
POLARIZED = {"attention": "polarized"}


def weights_with_classes(backbone, classes=1000):
    """Trained weights of the backbone, and of a dense layer for the classes."""
    own = sum(int(np.prod(weight.shape)) for weight in backbone.trainable_variables)
    return own + (backbone.output.shape[-1] + 1) * classes


def polarized(**options):
    return lambda: AttentionResNetBackbone(attention="polarized", attention_options=options)


@pytest.mark.slow
@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    ("make", "count"),
    [
        (AttentionResNetBackbone, 25_557_032),  # ResNet-50.
        (BoTNetBackbone, 20_852_008),
        (lambda: BoTNetBackbone(strides=(1, 2, 2, 1)), 20_859_176),
        (lambda: BoTNetBackbone((256, 256, 3), strides=(1, 2, 2, 1)), 20_862_248),
        (polarized(form="official"), 28_075_752),
        (polarized(form="official", layout="sequential"), 27_687_984),
        (polarized(form="paper"), 28_092_760),
    ],
)
def test_published_sizes_have_the_published_number_of_weights(make, count):
    assert weights_with_classes(make()) == count


@pytest.mark.shared("torch")
def test_a_functional_call_is_the_steps_of_encode():
    backbone = BoTNetBackbone((8, 8, 1), **SMALL, head_filters=5)
    set_weights(backbone, scale=0.2)
    images = normal(2, 8, 8, 1)
    outputs, alignments = backbone.encode(images, return_alignments=True)
    assert outputs.shape == (2, 4, 4, 5)
    assert list(alignments) == ["stage2_block1"]
    assert alignments["stage2_block1"].shape == (2, 4, 64, 64)
    assert_close(backbone(images), outputs)
    assert backbone(normal(2, 6, 5, 1)).shape == (2, 3, 3, 5)  # Of another size.


@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    ("stem", "places", "filters"),
    [("imagenet", 4, 64), ("tiered", 4, 64), ("tiered_strided", 4, 64), ("small", 16, 4)],
)
def test_a_stem_is_padded_on_all_sides_alike(stem, places, filters):
    backbone = AttentionResNetBackbone(
        (16, 16, 1), filters=(4,), num_blocks=(1,), strides=(1,), stem=stem
    )
    until = keras.Model(backbone.input, backbone.blocks[0].input)
    set_weights(until, scale=0.2)
    images = normal(1, 16, 16, 1)
    found = until(images)
    assert found.shape == (1, places, places, filters)
    # Mirrored kernels give of a mirrored picture the mirrored map, where the margins are alike.
    for weight in until.weights:
        value = keras.ops.convert_to_numpy(weight)
        weight.assign((value + value[:, ::-1]) / 2 if value.ndim == 4 else value)
    odd = normal(1, 17, 17, 1)
    assert_close(until(odd[:, :, ::-1].copy()), keras.ops.flip(until(odd), axis=2))


@pytest.mark.shared("torch")
def test_gates_follow_every_convolution():
    backbone = AttentionResNetBackbone((8, 8, 1), **SMALL, **POLARIZED)
    _, gates = backbone.encode(normal(2, 8, 8, 1), return_alignments=True)
    assert {name: sorted(found) for name, found in gates.items()} == {
        "stage1_block1": ["channel", "spatial"],
        "stage2_block1": ["channel", "spatial"],
    }


@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    "backbone",
    [
        BoTNetBackbone((8, 8, 1), **SMALL),
        AttentionResNetBackbone(
            (8, 8, 1),
            **SMALL,
            attention="squeeze_excitation",
            attention_options={"reduction": 2},
            output_filters=(8, 12),
            activation="silu",
            dtype="bfloat16",
        ),
    ],
    ids=["botnet", "silu"],
)
def test_a_config_makes_the_same_backbone(backbone):
    again = type(backbone).from_config(backbone.get_config())
    assert again.get_config() == backbone.get_config()
    assert [one.shape for one in again.weights] == [one.shape for one in backbone.weights]


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"filters": (4,)},
            "one number for each stage. Received: .*'filters': 1, 'num",
        ),
        ({"transformer_blocks": (0, 2)}, "num_blocks=1, transformer_blocks=2"),
        ({"num_blocks": (1, 0)}, "Received: num_blocks=0"),
        ({"stem": "large"}, "`stem` must be one of .* Received: stem='large'"),
        ({"attention": "psa"}, "`attention` must be one of .* Received: attention='psa'"),
        ({"attention_options": {"reduction": 2}}, "attention=None, attention_options={'reduction'"),
        ({"head_filters": 0}, "Received: head_filters=0"),
        ({"num_heads": 0}, "Received: num_heads=0"),
        ({"image_shape": (0, 8, 1)}, "Received: height=0"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionResNetBackbone(**{"image_shape": (8, 8, 1), **SMALL, **arguments})

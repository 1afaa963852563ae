import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.layers import RelativeSelfAttention2D
from attnzoo.layers.vision.relative_2d import resize_rows
from tests import references
from tests.layers.vision.parity import channels_last, load, matrix
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of, without_compilation

pytestmark = pytest.mark.usefixtures("without_compilation")

X = normal(2, 3, 5, 8)


def made(inputs=X, **arguments):
    layer = RelativeSelfAttention2D(**{"num_heads": 2, **arguments})
    layer.build(inputs.shape)
    set_weights(layer)
    return layer


def dense_weights(layer):
    denses = layer.query_dense, layer.key_dense, layer.value_dense
    return [weights_of(dense) for dense in denses]


@pytest.mark.parametrize("scale_position", [True, False])
def test_scores_are_those_of_contents_and_relative_positions(scale_position):
    layer = made(scale_position=scale_position, key_dim=3, value_dim=7)
    expected = references.relative_attention_2d(
        X,
        [weights["kernel"] for weights in dense_weights(layer)],
        [weights_of(layer)[name] for name in ("height_table", "width_table")],
        num_heads=2,
        scale_position=scale_position,
    )
    outputs, alignments = layer(X, return_alignments=True)
    assert alignments.shape == (2, 2, 15, 15)
    assert_close([outputs, alignments], [np.float32(one) for one in expected])
    assert_close(layer(X), outputs)  # Without holding the alignments.


def test_the_yolo_variant_adds_absolute_positions_of_the_other_place():
    layer = made(variant="yolo")
    weights = dense_weights(layer)
    expected = references.yolo_attention_2d(
        X,
        [one["kernel"] for one in weights],
        [one["bias"] for one in weights],
        [weights_of(layer)[name] for name in ("height_table", "width_table")],
        num_heads=2,
    )
    outputs, alignments = layer(X, return_alignments=True)
    assert_close([outputs, alignments], [np.float32(one) for one in expected], tolerance=1e-4)
    assert_close(layer(X), outputs, tolerance=1e-4)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_reference_implementation_gives_the_same(scaled):
    arrays = load(f"botnet_mhsa_{'' if scaled else 'un'}scaled_pos")
    x = channels_last(arrays["in/x"])
    layer = made(x, num_heads=4, scale_position=scaled)
    kernels = np.split(matrix(arrays["w/qkv.weight"]), 3, axis=-1)
    for dense, kernel in zip(
        (layer.query_dense, layer.key_dense, layer.value_dense), kernels, strict=True
    ):
        dense.kernel.assign(kernel)
    layer.height_table.assign(arrays["w/pos_embed.height_rel"])
    layer.width_table.assign(arrays["w/pos_embed.width_rel"])
    outputs, alignments = layer(x, return_alignments=True)
    assert_close(outputs, channels_last(arrays["out/y"]), tolerance=1e-4)
    assert_close(alignments[:1], arrays["mid/attn"], tolerance=1e-4)


def test_stride_2_takes_the_mean_of_squares_and_of_what_is_left_at_the_edge():
    outputs = to_numpy(made()(X))
    halved = to_numpy(made(stride=2)(X))
    assert halved.shape == (2, 2, 3, 8)
    np.testing.assert_allclose(halved[:, 0, 0], outputs[:, :2, :2].mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(halved[:, 1, 1], outputs[:, 2, 2:4].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(halved[:, 1, 2], outputs[:, 2, 4], atol=1e-5)


def test_tables_are_resized_for_another_map():
    layer = made()
    x = normal(1, 5, 4, 8)
    tables = [
        to_numpy(resize_rows(ops.convert_to_tensor(table), length))
        for table, length in ((layer.height_table, 9), (layer.width_table, 7))
    ]
    expected = references.relative_attention_2d(
        x, [weights["kernel"] for weights in dense_weights(layer)], tables, num_heads=2
    )
    assert_close(layer(x), np.float32(expected[0]))


def test_resizing_is_linear_and_keeps_the_middle():
    table = np.float32([[0.0], [10.0], [20.0], [30.0], [40.0]])
    np.testing.assert_array_equal(resize_rows(table, 5), table)
    # Three rows for five: each stands for 5 / 3, and the middles are 1/3, 2, 3 2/3.
    np.testing.assert_allclose(
        to_numpy(resize_rows(table, 3)), [[10 / 3], [20.0], [110 / 3]], rtol=1e-6
    )
    for length in (1, 7, 15):
        assert to_numpy(resize_rows(table, length))[length // 2] == pytest.approx(20.0)
    # As pictures are resized.
    picture = np.repeat(table[None, :, None, :], 2, axis=2)
    expected = ops.image.resize(picture, (9, 2), interpolation="bilinear", antialias=False)
    np.testing.assert_allclose(
        to_numpy(resize_rows(table, 9)), to_numpy(expected)[0, :, 0], atol=1e-5
    )


def test_a_map_of_unknown_size_needs_the_size_of_the_tables():
    with pytest.raises(ValueError, match=r"give `map_size`.*shape=\(None, None, 5, 8\)"):
        RelativeSelfAttention2D(2)(keras.Input((None, 5, 8)))
    layer = RelativeSelfAttention2D(2, map_size=(3, 5))
    model = keras.Model(inputs := keras.Input((None, None, 8)), layer(inputs))
    set_weights(layer)
    assert_close(model(X), made()(X))


def test_it_is_saved_with_its_variant(tmp_path):
    layer = made(variant="yolo")
    model = keras.Sequential([keras.Input(X.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    with without_compilation():
        assert_close(loaded(X), layer(X))


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be a whole number, at least 1. Received: num_heads=0"),
        ({"key_dim": 0}, "Received: key_dim=0"),
        ({"value_dim": -1}, "Received: value_dim=-1"),
        ({"stride": 3}, r"`stride` must be one of \(1, 2\). Received: stride=3"),
        ({"variant": "botnet"}, r"`variant` must be one of .* Received: variant='botnet'"),
        ({"map_size": (3, 0)}, "Received: width=0"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RelativeSelfAttention2D(**arguments)


@pytest.mark.backend_free
def test_what_does_not_fit_a_map_is_refused():
    with pytest.raises(ValueError, match="must divide the channels.*num_heads=3 with 8 channels"):
        RelativeSelfAttention2D(3).build((2, 3, 5, 8))
    with pytest.raises(ValueError, match=r"must have rank 4.*inputs.shape=\(2, 3, 5\)"):
        RelativeSelfAttention2D(1).compute_output_shape((2, 3, 5))
    with pytest.raises(ValueError, match="with known channels"):
        RelativeSelfAttention2D(1).compute_output_shape((2, 3, 5, None))

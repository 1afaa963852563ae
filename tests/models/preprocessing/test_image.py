import keras
import numpy as np
import pytest

from attnzoo.models import BoTNetImageClassifierPreprocessor

pytestmark = pytest.mark.backend_free

COLOURS = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3)).astype("uint8")


def test_pictures_are_normalized_by_channel():
    preprocessor = BoTNetImageClassifierPreprocessor(
        (6, 8, 3), mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)
    )
    expected = (COLOURS / 255.0 - [0.1, 0.2, 0.3]) / [0.5, 1.0, 2.0]
    found = preprocessor(COLOURS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(preprocessor(COLOURS[0]), expected[0], atol=1e-6)
    x, y = preprocessor([COLOURS[0], COLOURS[1] / 255.0], [1, 2])
    np.testing.assert_allclose(x, expected, atol=1e-6)
    assert y == [1, 2]
    again = type(preprocessor).from_config(preprocessor.get_config())
    assert again.get_config() == preprocessor.get_config()


def test_a_graph_gives_the_same_also_of_another_size():
    tf = pytest.importorskip("tensorflow")
    preprocessor = BoTNetImageClassifierPreprocessor((6, 8, 3), mean=0.0, std=1.0)
    dataset = tf.data.Dataset.from_tensors((COLOURS, [0, 1])).map(preprocessor)
    x, _ = next(iter(dataset))
    np.testing.assert_allclose(x, COLOURS / 255.0, atol=1e-6)
    smaller = BoTNetImageClassifierPreprocessor((3, 4, 3), mean=0.0, std=1.0)
    (x,) = tf.data.Dataset.from_tensors(COLOURS).map(smaller)
    np.testing.assert_allclose(x, smaller(COLOURS), atol=1.5 / 255)  # Pillow rounds to bytes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (8, 8)}, r"Received: image_shape=\(8, 8\)"),
        ({"image_shape": (8, 8, 4)}, "1 or 3 channels"),
        ({"image_shape": (0, 8, 1)}, "Received: height=0"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` must be above 0. Received: std=0.0"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoTNetImageClassifierPreprocessor(**arguments)


def test_it_is_read_from_its_serialized_form():
    preprocessor = BoTNetImageClassifierPreprocessor((6, 8, 1))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(preprocessor))
    assert again.image_shape == (6, 8, 1) and type(again) is type(preprocessor)

import keras
import keras_hub

from attnzoo.layers.output import TiedLogits
from tests.tools import assert_close, normal, to_numpy


def test_it_is_the_embedding_transposed():
    embedding = keras_hub.layers.ReversibleEmbedding(7, 5)
    embedding.build()
    outputs = normal(2, 3, 5, seed=1)
    table = to_numpy(embedding.embeddings)
    assert_close(TiedLogits(embedding)(outputs), outputs @ table.T)


def test_its_config_holds_the_embedding():
    config = keras.saving.serialize_keras_object(
        TiedLogits(keras_hub.layers.ReversibleEmbedding(7, 5))
    )
    again = keras.saving.deserialize_keras_object(config)
    assert tuple(again(normal(2, 3, 5, seed=1)).shape) == (2, 3, 7)
    assert not again.weights[1:]

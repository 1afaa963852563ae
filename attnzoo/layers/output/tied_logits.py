"""The output layer that shares the weights of the embedding."""

import keras

from attnzoo.layers.output.base import OutputLayer


@keras.saving.register_keras_serializable(package="attnzoo")
class TiedLogits(OutputLayer, keras.layers.Layer):
    """Logits by the transposed embedding of the target.

    Args:
        embedding: A `keras_hub.layers.ReversibleEmbedding`, or any layer that takes `reverse=True`.

    Call arguments:
        outputs: float [..., E]. E is the width of the embedding.

    Returns:
        float [..., V].

    References:
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859).
    """

    def __init__(self, embedding: keras.layers.Layer, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding
        self.supports_masking = True

    def build(self, outputs_shape):
        self.built = True

    def call(self, outputs):
        return self.embedding(outputs, reverse=True)

    def compute_output_spec(self, outputs):
        return self.embedding(outputs, reverse=True)

    def get_config(self):
        embedding = keras.saving.serialize_keras_object(self.embedding)
        return {**super().get_config(), "embedding": embedding}

    @classmethod
    def from_config(cls, config: dict):
        embedding = keras.saving.deserialize_keras_object(config["embedding"])
        return cls(**{**config, "embedding": embedding})

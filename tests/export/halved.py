"""A class that the package does not know, as a user's model may have one."""

import keras

from attnzoo import layers


@keras.saving.register_keras_serializable(package="tests")
class HalvedScore(layers.DotScore):
    """A score of a user's own."""

    def compare(self, query, key):
        return super().compare(query, key) / 2

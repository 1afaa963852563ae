"""The spelling of words: bytes of each word -> a vector."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.base import SpecLayer


@keras.saving.register_keras_serializable(package="attnzoo")
class WordSpelling(SpecLayer):
    """Vector of each word's spelling, by a convolution over its UTF-8 bytes.

        features[b, s, w] = K * embedding[word_bytes[b, s]]  (windows of `kernel_size` bytes) + k
        output[b, s, u]   = max over w of tanh(features[b, s, w, u])

    A word that no vocabulary has still has its ending, its capitals and its digits. Bytes need no
    vocabulary of their own, in any language.

    Differs from the paper: bytes in place of characters, and no window reaches beyond a word by
    more than padding.

    Args:
        units: U, width of the output, in features. At least 1.
        embedding_dim: Width of the embedding of a byte. At least 1.
        kernel_size: Width of a window, in bytes. At least 1.

    Call arguments:
        word_bytes: int [B, S, W]. In [0, 256): 0 is padding.

    Returns:
        float [B, S, U]. 0 for a word without bytes.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> attnzoo.layers.WordSpelling(units=7)(word_bytes).shape  # B=2, S=11, W=5
        (2, 11, 7)

    References:
        [dos Santos and Zadrozny, 2014](https://proceedings.mlr.press/v32/santos14.html),
        section 2.1.2; [Plank et al., 2016](https://aclanthology.org/P16-2067) (bytes).
    """

    def __init__(self, units: int, *, embedding_dim: int = 32, kernel_size: int = 3, **kwargs):
        check_positive(units=units, embedding_dim=embedding_dim, kernel_size=kernel_size)
        super().__init__(**kwargs)
        self.units = units
        self.embedding_dim = embedding_dim
        self.kernel_size = kernel_size
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(256, embedding_dim, name="embedding", dtype=policy)
        self.convolution = keras.layers.Conv1D(
            units,
            kernel_size,
            padding="same",
            activation="tanh",
            name="convolution",
            dtype=policy,
        )

    def build(self, word_bytes_shape):
        self.embedding.build((None, None))
        self.convolution.build((None, None, self.embedding_dim))

    def call(self, word_bytes):
        batch, length, width = ops.shape(word_bytes)
        flat = ops.reshape(word_bytes, (-1, width))  # [B * S, W]
        real = ops.cast(flat != 0, self.compute_dtype)[:, :, None]
        features = self.convolution(self.embedding(flat) * real)  # [B * S, W, U]
        # tanh is above -1, and what is below it is no byte.
        highest = ops.max(features + 2.0 * (real - 1.0), axis=1)  # [B * S, U]
        highest = highest * ops.max(real, axis=1)
        return ops.reshape(highest, (batch, length, self.units))

    def compute_output_spec(self, word_bytes):
        shape = (*word_bytes.shape[:2], self.units)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "embedding_dim": self.embedding_dim,
            "kernel_size": self.kernel_size,
        }

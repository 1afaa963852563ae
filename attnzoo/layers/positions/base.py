"""The base of the positions: hooks at the input of a model, and inside its attentions."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="attnzoo")
class Position(keras.layers.Layer):
    """Base of the position methods, and the one for `position="none"`.

    This one does not tell it (`position="none"`). A subclass gives the hooks that its method needs;
    the others go on doing nothing. Positions are int [T], counted in tokens from 0. A step of
    decoding gives those of its own tokens, [i] for one, and gets the rows of the whole sequence.

    *At the input*, where `at_input` is True, a model calls the layer once, after the embedding:

        x = position(x, positions)

    *In an attention* over heads (a model shares one instance between its layers, or gives each
    layer its own) all hooks are called, in this order:

        position.build()                                in the attention's `build`, if not built yet
        query, key = position.rotate(query, key, query_positions, key_positions)
        query      = query / sqrt(d)
        scores     = query · key                                           in float32, [B, N, T, S]
                   + position.bias(query_positions, key_positions)                    if not None
                   + position.query_bias(query, query_positions, key_positions)       if not None
        alignments = softmax of the scores that the mask allows
        context    = alignments · value                                               [B, N, T, d]
                   + position.value_bias(alignments, query_positions, key_positions)  if not None

    Keys go into a cache as `rotate` gave them: each is rotated once, by its own position. The
    positions of S cached keys are 0..S-1; the mask hides those not filled yet. A fused kernel
    will do where `needs_alignments` is False: the two score biases add up to one.

    Call arguments:
        x: float [B, T, D]. Embedded tokens.
        positions: int [T], in tokens. By default 0..T-1.

    Returns:
        float [B, T, D].

    Example:
        >>> class LatestFirst(attnzoo.layers.Position):
        ...     def bias(self, query_positions, key_positions):
        ...         distance = key_positions[None, :] - query_positions[:, None]
        ...         return keras.ops.cast(distance, "float32")[None]  # [1, T, S]
    """

    at_input = False
    needs_alignments = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, x_shape=None):
        self.built = True

    def check_sizes(self, **offered):
        """Raise unless this is made for the sizes of the layer around it.

        Args:
            **offered: What that layer knows, of `num_heads`, `key_dim`, `value_dim`, `max_length`
                and `bidirectional`.
        """
        for name in ("num_heads", "key_dim"):
            self.check_size(name, offered)

    def check_size(self, name: str, offered: dict):
        """Raise if this has a size of this name, and another one is offered."""
        own = getattr(self, name, None)
        if own is not None and offered.get(name, own) != own:
            raise ValueError(
                f"A position must be made for the `{name}`={offered[name]} around it. "
                f"Received: {self!r} with {name}={own}"
            )

    def embed(self, x, positions):
        """Add positions int [T] to x [B, T, D], at the input of a model."""
        return x

    def rotate(self, query, key, query_positions, key_positions):
        """Return query [B, N, T, d] and key [B, N, S, d] with positions in them."""
        return query, key

    def bias(self, query_positions, key_positions):
        """Return the bias of scores by positions alone, float32 [N or 1, T, S], or None."""
        return None

    def query_bias(self, query, query_positions, key_positions):
        """Return the bias of scores by the rotated, scaled query [B, N, T, d], or None.

        It is linear in the query, so that scaling either will do.
        """
        return None

    def value_bias(self, alignments, query_positions, key_positions):
        """Return the bias of the context by alignments [B, N, T, S], or None."""
        return None

    def read(self, weight):
        """Return a weight in the layer's compute dtype: hooks run outside of `call` too."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)

    def call(self, x, positions=None):
        if positions is None:
            positions = ops.arange(ops.shape(x)[1], dtype="int32")
        return self.embed(x, positions)

    def compute_output_shape(self, x_shape, positions_shape=None):
        return x_shape


def relative_positions(query_positions, key_positions):
    """Return key_positions[s] - query_positions[t], int32 [T, S]."""
    query_positions = ops.cast(query_positions, "int32")
    key_positions = ops.cast(key_positions, "int32")
    return ops.expand_dims(key_positions, 0) - ops.expand_dims(query_positions, 1)


def position_angles(positions, width: int, max_wavelength: float):
    """Return positions[t] / max_wavelength^(2 i / width) for i < width / 2, in float32.

    Half precision would not do: of position 257 it knows no more than that it is about 256.

    Args:
        positions: int [T], in tokens.
        width: Number of features. At least 1.
        max_wavelength: Length of the slowest wave, over 2 pi, in tokens.

    Returns:
        float32 [T, ceil(width / 2)], in radians.
    """
    frequencies = float(max_wavelength) ** (-np.arange(0, width, 2) / width)
    positions = ops.expand_dims(ops.cast(positions, "float32"), -1)  # [T, 1]
    return positions * ops.convert_to_tensor(frequencies, dtype="float32")

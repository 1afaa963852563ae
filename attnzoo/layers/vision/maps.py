"""Maps: the features of a picture, [B, H, W, C], and their places in a row, [B, P, C]."""

import keras
from keras import ops

from attnzoo.layers.base import SpecLayer


def check_map(inputs):
    """Raise unless a tensor is a map with a known number of channels."""
    if len(inputs.shape) != 4 or inputs.shape[-1] is None:
        raise ValueError(
            "`inputs` must have rank 4, [batch, height, width, channels], with known channels. "
            f"Received: inputs.shape={tuple(inputs.shape)}"
        )


def to_places(inputs):
    """Return the places of a map [B, H, W, C] row by row, [B, P, C] with P = H W."""
    batch, height, width, channels = ops.shape(inputs)
    return ops.reshape(inputs, (batch, height * width, channels))


def to_map(places, inputs):
    """Return places [B, P, D] as a map of the height and width of `inputs`, [B, H, W, D]."""
    batch, height, width, _ = ops.shape(inputs)
    return ops.reshape(places, (batch, height, width, places.shape[-1]))


def count_places(shape):
    """Return P of the shape of a map, or None where height or width is not known."""
    height, width = shape[1:3]
    return None if height is None or width is None else height * width


def mean_of_map(inputs):
    """Return the mean over all places, [B, C], summed in float32 at least."""
    dtype = keras.backend.result_type(inputs.dtype, "float32")
    return ops.cast(ops.mean(ops.cast(inputs, dtype), axis=(1, 2)), inputs.dtype)


def largest(inputs, axis: int):
    """Return the maximum over an axis, which is kept; its gradient goes to the first such element.

    By its index: the gradient of `ops.max` on JAX compares numbers that XLA may have computed again
    in another order, so that none is the maximum.
    """
    at = ops.expand_dims(ops.argmax(inputs, axis=axis), axis)
    return ops.take_along_axis(inputs, at, axis=axis)


class MapLayer(SpecLayer):
    """Base of the layers over maps, channels last whatever `image_data_format` says."""

    def tensor(self, *shape):
        """Return a symbolic tensor of this shape, in the compute dtype."""
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def gated_spec(self, inputs, return_alignments: bool):
        """Return the symbolic output of a layer with a gate of channels and one of places."""
        check_map(inputs)
        outputs = self.tensor(*inputs.shape)
        if not return_alignments:
            return outputs
        batch, height, width, channels = inputs.shape
        channel, spatial = self.tensor(batch, channels), self.tensor(batch, height, width)
        return outputs, {"channel": channel, "spatial": spatial}

    def add_kernel(self, name: str, *shape: int):
        """Add a matrix, drawn by Glorot's uniform initializer."""
        return self.add_weight(shape=shape, initializer="glorot_uniform", name=name)

    def read(self, weight):
        """Return a weight as a tensor in the compute dtype."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)


class ChannelGate(MapLayer):
    """Base of the layers that multiply each channel by a gate of its own.

    A subclass has `gate`, a function of a map [B, H, W, C] to the gates [B, C].
    """

    def call(self, inputs, return_alignments: bool = False):
        """Multiply each channel by its gate.

        Args:
            inputs: float [B, H, W, C].
            return_alignments: Whether to return the gates too.

        Returns:
            float [B, H, W, C]; with `return_alignments=True` the pair of it and the gates, float
            [B, C] in (0, 1).
        """
        check_map(inputs)
        gates = self.gate(inputs)
        outputs = inputs * gates[:, None, None, :]
        return (outputs, gates) if return_alignments else outputs

    def gate(self, inputs):
        """Return the gates of the channels, float [B, C] in (0, 1)."""
        raise NotImplementedError

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        outputs = self.tensor(*inputs.shape)
        if not return_alignments:
            return outputs
        return outputs, self.tensor(inputs.shape[0], inputs.shape[-1])

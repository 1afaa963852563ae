"""Dense layers as `attnzoo.ops.linear` applies them."""

import keras
from keras import ops

from attnzoo.ops import linear


def apply_dense(dense: keras.layers.Dense, rows):
    """Apply a built `keras.layers.Dense`, in the form that is fast on every backend.

    It may run outside of `call`. After quantization the layer itself is called.

    Args:
        dense: The layer; low-rank adapted or quantized ones too.
        rows: float [..., D].

    Returns:
        float [..., E], in the layer's compute dtype.

    Raises:
        ValueError: If the layer is not built.
    """
    if not dense.built:
        raise ValueError(
            "A layer must be built before its methods are called on their own: call it once, or "
            f"its `build`. Received: layer {dense.name!r}, not built"
        )

    def read(weight):
        return ops.cast(ops.convert_to_tensor(weight), dense.compute_dtype)

    if dense.quantization_mode is not None:
        flat = dense(ops.reshape(rows, (-1, rows.shape[-1])))  # Of integers, by Keras's equations.
        return ops.reshape(flat, (*ops.shape(rows)[:-1], dense.units))
    rows = ops.cast(rows, dense.compute_dtype)
    outputs = linear(rows, read(dense.kernel), None if dense.bias is None else read(dense.bias))
    return outputs if dense.activation is None else dense.activation(outputs)

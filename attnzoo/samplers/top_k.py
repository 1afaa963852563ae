"""The best of a large vocabulary."""

from keras import ops

from attnzoo.ops.gather import take_along_rows, take_places

LOWEST = -1e9  # In place of log 0: finite, so that a difference of two is not NaN.

# Number of values in a block. The maxima of blocks are found at memory speed, and the k best values
# lie in the k blocks with the highest maxima.
_BLOCK = 64


def fast_top_k(values, k: int):
    """Return the k largest of each row of float [R, V], and their places: exact and fast."""
    width = values.shape[-1]
    if width is None:  # Unknown in a graph for sources of any length that a model can copy from.
        width = ops.shape(values)[-1]
        padded = ops.pad(values, ((0, 0), (0, k)), constant_values=LOWEST)
        top, places = ops.top_k(padded, k)
        return top, ops.minimum(ops.cast(places, "int32"), width - 1)
    blocks = -(-width // _BLOCK)
    if blocks <= 4 * k:
        return ops.top_k(values, k)
    missing = blocks * _BLOCK - width
    if missing:
        values = ops.pad(values, ((0, 0), (0, missing)), constant_values=-float("inf"))
    blocked = ops.reshape(values, (-1, blocks, _BLOCK))
    _, best_blocks = ops.top_k(ops.max(blocked, axis=-1), k)  # [R, k]
    best_blocks = ops.cast(best_blocks, "int32")
    kept = take_places(blocked, best_blocks)  # [R, k, BLOCK]
    top, places = ops.top_k(ops.reshape(kept, (-1, k * _BLOCK)), k)
    places = ops.cast(places, "int32")
    block = take_along_rows(best_blocks, places // _BLOCK)
    return top, block * _BLOCK + places % _BLOCK

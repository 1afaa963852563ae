"""The tokens of outputs that are known at one step of a search."""

from keras import ops

NOTHING = -1  # In place of a token: equal to none.


class History:
    """The known tokens of R outputs, at one step.

    Args:
        tokens: int [R, T]. The outputs so far, with anything at other places.
        start: The first place of an output.
        index: The place that is decided now: known tokens are before it.
    """

    def __init__(self, tokens, start, index):
        places = ops.arange(ops.shape(tokens)[1], dtype="int32")
        known = ops.logical_and(places >= start, places < index)
        self.tokens = ops.where(known, ops.cast(tokens, "int32"), NOTHING)  # [R, T]
        self.index = index

    def last(self, count: int):
        """Return the last tokens, int [R, count], `NOTHING` before the first one."""
        padded = ops.pad(self.tokens, ((0, 0), (count, 0)), constant_values=NOTHING)
        places = ops.arange(count, dtype="int32") + ops.cast(self.index, "int32")
        return ops.take(padded, places, axis=1)

    def windows(self, size: int):
        """Return the tokens from each place on, int [R, T, size], `NOTHING` after the last one."""
        length = ops.shape(self.tokens)[1]
        padded = ops.pad(self.tokens, ((0, 0), (0, size)), constant_values=NOTHING)
        return ops.stack([padded[:, first : first + length] for first in range(size)], axis=-1)

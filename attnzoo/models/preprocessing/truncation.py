"""Texts that are too long: cut with a warning, cut silently, or refused."""

import warnings

import numpy as np

from attnzoo.data.tokenizers import in_graph

TRUNCATE = ("warn", "error", "silent")


def check_truncate(truncate):
    """Raise if `truncate` is unknown."""
    if truncate not in TRUNCATE:
        raise ValueError(f"`truncate` must be one of {TRUNCATE}. Received: truncate={truncate!r}")


class Truncation:
    """The check of lengths before a preprocessor cuts. It warns once for each kind of text."""

    def __init__(self):
        self._warned = frozenset()

    def apply(self, lengths, limit: int, truncate: str, *, kind: str = "text"):
        """Warn of texts that are too long, or raise.

        Args:
            lengths: int [B], in tokens with the special ones; in a graph a tensor.
            limit: The longest that they may be.
            truncate: One of `TRUNCATE`.
            kind: The name of such a text in a message.

        Returns:
            A list of what a graph has to run before it goes on; elsewhere it is empty.

        Raises:
            ValueError: If one is too long and `truncate="error"`; in a graph it is TensorFlow's
                `InvalidArgumentError`.
        """
        rule = f"A {kind} must have at most {limit} tokens, special ones counted. Received"
        if in_graph():
            return self._apply_in_graph(lengths, limit, truncate, kind, rule)
        longest, count = int(np.max(lengths, initial=0)), int(np.sum(np.greater(lengths, limit)))
        if count and truncate == "error":
            place = int(np.argmax(lengths))
            raise ValueError(f"{rule}: {longest} tokens at position {place}")
        if count and truncate == "warn":
            self._warn(count, len(lengths), longest, limit, kind)
        return []

    def _apply_in_graph(self, lengths, limit, truncate, kind, rule):
        import tensorflow as tf

        longest = tf.reduce_max(lengths)
        if truncate == "error":
            message = f"{rule} a {kind} with this many:"
            return [tf.debugging.Assert(longest <= limit, [message, longest])]
        if truncate == "silent" or kind in self._warned:
            return []
        count = tf.reduce_sum(tf.cast(lengths > limit, tf.int32))

        def warn():
            facts = [count, tf.size(lengths), longest, limit]
            warned = tf.numpy_function(lambda *facts: self._warn(*facts, kind), facts, [])
            with tf.control_dependencies([warned]):
                return tf.constant(True)

        return [tf.cond(longest > limit, warn, lambda: tf.constant(False))]

    def _warn(self, count, batch, longest, limit, kind):
        if kind not in self._warned:
            self._warned = self._warned | {kind}
            warnings.warn(
                f"{count} of {batch} {kind}s have more than {limit} tokens, special ones counted, "
                f"and were cut; the longest has {longest}. Later ones are cut without a warning.",
                stacklevel=2,
            )

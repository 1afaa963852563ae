"""What preprocessors share: special tokens of any tokenizer, plain lists, lengths and limits."""

import threading
import warnings

import numpy as np
from keras import ops

from attnzoo.data.tokenizers import in_graph

# Batches are padded to a multiple of this, so that few lengths have to be compiled.
LENGTH_STEP = 8

# What may happen to a text that is too long.
TRUNCATE = ("warn", "error", "silent")

_SPELLINGS = {
    "start_token_id": ("[START]", "[BOS]", "<s>", "[CLS]"),
    "end_token_id": ("[END]", "[EOS]", "</s>", "[SEP]"),
    "pad_token_id": ("[PAD]", "<pad>"),
}


# Held by whoever builds a preprocessor, at its first use: several threads may want it at once.
BUILDING = threading.RLock()


def find_special_tokens(tokenizer):
    """See that a tokenizer has its special ids as attributes; any KerasHub tokenizer will do.

    Raises:
        ValueError: If it has neither the attribute nor a usual spelling of the token.
    """
    for attribute, spellings in _SPELLINGS.items():
        if getattr(tokenizer, attribute, None) is not None:
            continue
        vocabulary = set(tokenizer.get_vocabulary())
        found = [token for token in spellings if token in vocabulary]
        if not found:
            raise ValueError(
                f"A tokenizer needs the attribute `{attribute}` or one of {spellings} in its "
                f"vocabulary. Received: tokenizer={tokenizer!r}"
            )
        setattr(tokenizer, attribute, tokenizer.token_to_id(found[0]))
    if not tokenizer.built:
        tokenizer.build(None)


def need_some(kind: str, items):
    """Raise where there are none of what `kind` calls one of."""
    if not len(items):
        raise ValueError(f"There must be at least one {kind}. Received: none")


def is_symbolic_tensorflow(value) -> bool:
    """Whether `value` is a TensorFlow tensor inside a traced function."""
    return type(value).__module__.startswith("tensorflow") and not hasattr(value, "numpy")


def weigh(weight, sample_weight):
    """Weights [B, M], or a mask, times those [B] of their rows, or None: float32 [B, M]."""
    if is_symbolic_tensorflow(weight):
        import tensorflow as tf

        weight = tf.cast(weight, tf.float32)
        rows = None if sample_weight is None else tf.cast(sample_weight, tf.float32)
    else:
        weight = ops.convert_to_numpy(weight).astype("float32")
        rows = None if sample_weight is None else np.asarray(sample_weight, "float32")
    return weight if rows is None else weight * rows[..., None]


def as_lists(value):
    """Tensors, ragged or dense, and arrays as Python lists."""
    if hasattr(value, "to_list"):
        return value.to_list()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.tolist() if hasattr(value, "tolist") else value


def as_batch(x):
    """Whether raw texts are one single string, and the same as a batch."""
    if in_graph():
        import tensorflow as tf

        x = tf.convert_to_tensor(x, tf.string)
        return (True, x[None]) if x.shape.rank == 0 else (False, x)
    x = as_lists(x)
    return (True, [x]) if isinstance(x, (str, bytes)) else (False, x)


def tokenize_rows(tokenizer, texts: list[str]) -> list[list[int]]:
    """The ids of texts, outside of graphs, whatever a tokenizer returns them in."""
    rows = as_lists(tokenizer(texts))
    return [np.asarray(as_lists(row)).astype(int).tolist() for row in rows]


def lengths_up_to(limit: int) -> list[int]:
    """The few lengths that batches are padded to: multiples of 8 up to 64, then a fifth apart.

    Example:
        >>> lengths_up_to(100)
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 100]
    """
    lengths, length = [], 0
    while length < limit:
        length += max(LENGTH_STEP, 2 ** (length.bit_length() - 3))
        lengths.append(min(length, limit))
    return lengths


def fit_length(longest: int, limit: int) -> int:
    """The first of these lengths that holds `longest` tokens, or the limit, where all are cut."""
    return next((length for length in lengths_up_to(limit) if length >= longest), limit)


def pack_rows(rows, length, *, start=None, end=None, padding=0):
    """Cut, complete and pad rows of whole numbers, one for each token.

    Args:
        rows: Lists of int; in a graph a `tf.RaggedTensor`.
        length: S, in tokens.
        start, end: What stands before and behind each row, or None for nothing.
        padding: What stands in the padding.

    Returns:
        int32 [B, S], and the mask bool [B, S] of what is no padding.
    """
    starts, ends = ([] if one is None else [one] for one in (start, end))
    room = length - len(starts) - len(ends)
    if in_graph():
        import tensorflow as tf

        rows = tf.cast(as_ragged(rows), tf.int32)[:, :room]
        one = tf.ones([rows.nrows(), 1], tf.int32)
        rows = tf.concat([*(i * one for i in starts), rows, *(i * one for i in ends)], axis=1)
        packed = rows.to_tensor(padding)
        missing = [[0, 0], [0, length - tf.shape(packed)[1]]]
        packed = tf.pad(packed, missing, constant_values=padding)
        return packed, tf.sequence_mask(rows.row_lengths(), length)
    packed = np.full((len(rows), length), padding, "int32")
    mask = np.zeros((len(rows), length), "bool")
    for place, row in enumerate(rows):
        row = [*starts, *row[:room], *ends]
        packed[place, : len(row)] = row
        mask[place, : len(row)] = True
    return packed, mask


def as_ragged(ids):
    """Ids of a tokenizer in a graph as a `tf.RaggedTensor`."""
    import tensorflow as tf

    return ids if isinstance(ids, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(ids)


def check_table(backbone, whose: str = "The preprocessor's ", **lengths):
    """Raise if a sequence could be longer than the table of a learned position.

    Args:
        backbone: It has `position` and `max_length`.
        whose: What the message says before the name of a length.
        **lengths: The longest that sequences may be, in tokens, by the names that users know.
    """
    for name, length in lengths.items():
        if backbone.position == "learned" and length > backbone.max_length:
            raise ValueError(
                f"{whose}`{name}` must be at most the `max_length` of a learned position, "
                f"{backbone.max_length}. Received: {name}={length}"
            )


def check_truncate(truncate):
    """Raise if `truncate` is unknown."""
    if truncate not in TRUNCATE:
        raise ValueError(f"`truncate` must be one of {TRUNCATE}. Received: truncate={truncate!r}")


class TruncationMixin:
    """What a preprocessor does about texts that are too long, before it cuts them.

    It stands before a preprocessor of KerasHub in the bases of a class, which sets `truncate`.
    """

    _warned = frozenset()

    def meet_long(self, lengths, limit: int, truncate: str | None = None, *, kind: str = "text"):
        """Warn of texts that are too long, once for each kind, or raise.

        Args:
            lengths: int [B], in tokens with the special ones; in a graph a tensor.
            limit: How long they may be.
            truncate: In place of the preprocessor's own.
            kind: What such a text is called.

        Returns:
            A list of what a graph has to run before it goes on; elsewhere it is empty.

        Raises:
            ValueError: If one is too long and `truncate="error"`; in a graph it is TensorFlow's
                `InvalidArgumentError`.
        """
        truncate = truncate or self.truncate
        rule = f"A {kind} must have at most {limit} tokens, special ones counted. Received"
        if in_graph():
            return self._meet_in_graph(lengths, limit, truncate, kind, rule)
        longest, count = int(np.max(lengths, initial=0)), int(np.sum(np.greater(lengths, limit)))
        if count and truncate == "error":
            place = int(np.argmax(lengths))
            raise ValueError(f"{rule}: {longest} tokens at position {place}")
        if count and truncate == "warn":
            self._warn(count, len(lengths), longest, limit, kind)
        return []

    def _meet_in_graph(self, lengths, limit, truncate, kind, rule):
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

"""Blocks: some query steps of one example, or all steps of some examples.

What compares every query with every place may go through B and T block by block, so that not all
of it is held at once. Sizes are ints, or scalar tensors where TensorFlow does not know them while
tracing.
"""

from keras import ops

from attnzoo.backend import ON_TENSORFLOW, ON_TORCH


def block_sizes(batch, query_length, row, elements):
    """Choose the examples b and the query steps t of a block.

    Args:
        batch: B.
        query_length: T.
        row: How many elements one query step of one example takes.
        elements: How many elements a block may take; one step of one example it always holds.

    Returns:
        b and t, each at least 1; one of b = 1, t = T holds.
    """
    row = largest(1, row)
    steps = largest(1, smallest(query_length, elements // row))
    count = largest(1, -(-query_length // steps))
    steps = largest(1, -(-query_length // count))  # as many blocks, of even size
    examples = largest(1, smallest(batch, elements // (steps * row)))
    count = largest(1, -(-batch // examples))
    return largest(1, -(-batch // count)), steps


def cut_blocks(tensor, examples, steps):
    """Cut [B, T, D] into [B / b, T / t, b, t, D], with zeros where it does not divide."""
    batch, length, width = ops.shape(tensor)
    batch_rest, length_rest = _rest(batch, examples), _rest(length, steps)
    tensor = ops.pad(tensor, [[0, batch_rest], [0, length_rest], [0, 0]])
    rows, columns = (batch + batch_rest) // examples, (length + length_rest) // steps
    # No transpose is needed, as b or T / t is 1.
    return ops.reshape(tensor, (rows, columns, examples, steps, width))


def cut_examples(tensor, examples):
    """Cut [B, S, D] into [B / b, b, S, D], with zeros where it does not divide."""
    batch, length, width = ops.shape(tensor)
    rest = _rest(batch, examples)
    tensor = ops.pad(tensor, [[0, rest], [0, 0], [0, 0]])
    return ops.reshape(tensor, ((batch + rest) // examples, examples, length, width))


def join_blocks(blocks, shape, examples, steps):
    """Undo `cut_blocks`: back to `shape` [B, T, D], without the zeros."""
    batch, length, width = shape
    whole = batch + _rest(batch, examples), length + _rest(length, steps), width
    return ops.reshape(blocks, whole)[:batch, :length]


def join_examples(pieces, shape, examples):
    """Undo `cut_examples`: back to `shape` [B, S, D], without the zeros."""
    batch, *rest = shape
    return ops.reshape(pieces, (batch + _rest(batch, examples), *rest))[:batch]


def scan_blocks(step, carry, elements, num_outputs=1):
    """Scan a tuple of tensors; each step returns a tuple of `num_outputs` tensors.

    `ops.scan` itself wants outputs shaped as the carry on TensorFlow. On torch it keeps the outputs
    of all steps and then stacks them: twice the memory, and small pieces that break up the heap.
    """
    if ON_TENSORFLOW:
        return _scan_tensorflow(step, carry, elements, num_outputs)
    if not ON_TORCH:
        return ops.scan(step, carry, elements)
    length = len(elements[0])
    outputs = None
    for index in range(length):
        carry, pieces = step(carry, tuple(element[index] for element in elements))
        if outputs is None:
            outputs = tuple(ops.empty((length, *piece.shape), piece.dtype) for piece in pieces)
        for output, piece in zip(outputs, pieces, strict=True):
            output[index] = piece
    return carry, outputs


def _scan_tensorflow(step, carry, elements, num_outputs):
    import tensorflow as tf

    length = tf.shape(elements[0])[0]
    arrays = tuple(tf.TensorArray(elements[0].dtype, length) for _ in range(num_outputs))

    def body(index, carry, arrays):
        carry, pieces = step(carry, tuple(element[index] for element in elements))
        pairs = zip(arrays, pieces, strict=True)
        return index + 1, carry, tuple(array.write(index, piece) for array, piece in pairs)

    _, carry, arrays = tf.while_loop(lambda index, *_: index < length, body, (0, carry, arrays))
    return carry, tuple(array.stack() for array in arrays)


def smallest(first, second):
    """Return the smaller of two sizes."""
    known = isinstance(first, int) and isinstance(second, int)
    return min(first, second) if known else ops.minimum(first, second)


def largest(first, second):
    """Return the larger of two sizes."""
    known = isinstance(first, int) and isinstance(second, int)
    return max(first, second) if known else ops.maximum(first, second)


def _rest(length, block):
    """Return how many `length` lacks to be a multiple of `block`, at least one block."""
    return largest(block - length, -length % block)

"""Updates of a tensor that a loop fills step by step."""

from keras import ops

from attnzoo.backend import ON_TENSORFLOW


def write_steps(sequence, values, index, axis: int):
    """Write the values of steps `index`, `index + 1`, ... into a sequence.

    One step is a choice between old and new on TensorFlow: `ops.slice_update` is an operation of
    XLA there, which no exported graph may have.

    Args:
        sequence: Any dtype [..., T, ...], with T at `axis`.
        values: The same dtype and shape, with fewer steps at `axis`.
        index: int scalar. The first step to write.
        axis: The axis of the steps. At least 0.

    Returns:
        The sequence with these steps replaced.

    Example:
        >>> attnzoo.ops.write_steps([[4, 5, 6]], [[0]], index=1, axis=1)
        [[4, 0, 6]]
    """
    sequence, values = ops.convert_to_tensor(sequence), ops.convert_to_tensor(values)
    rank = len(sequence.shape)
    if ON_TENSORFLOW and values.shape[axis] == 1:
        steps = ops.arange(ops.shape(sequence)[axis], dtype="int32")
        here = ops.reshape(steps == index, [-1 if n == axis else 1 for n in range(rank)])
        return ops.where(here, values, sequence)
    return ops.slice_update(sequence, [index if n == axis else 0 for n in range(rank)], values)

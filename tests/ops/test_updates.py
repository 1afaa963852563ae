"""Steps written into a sequence."""

import numpy as np
import pytest
from keras import ops

from attnzoo.ops import write_steps
from tests import tools


@pytest.mark.parametrize("axis, steps", [(0, 1), (1, 1), (2, 1), (1, 3)])
def test_steps_are_replaced_and_nothing_else(axis, steps):
    sequence, index = tools.normal(5, 7, 3), 2
    shape = [steps if n == axis else size for n, size in enumerate(sequence.shape)]
    values = tools.normal(*shape, seed=1)
    expected = sequence.copy()
    expected[(slice(None),) * axis + (slice(index, index + steps),)] = values
    write = tools.compiled(lambda *given: write_steps(*given, axis=axis))
    given = (ops.convert_to_tensor(one) for one in (sequence, values, np.int32(index)))
    assert np.array_equal(tools.to_numpy(write(*given)), expected)


@pytest.mark.only("tensorflow")
def test_a_step_of_a_graph_is_no_operation_of_xla():
    import tensorflow as tf

    write = tf.function(lambda *given: write_steps(*given, axis=1))
    shapes = [
        tf.TensorSpec([None, None, 3]),
        tf.TensorSpec([None, 1, 3]),
        tf.TensorSpec([], "int32"),
    ]
    graph = write.get_concrete_function(*shapes).graph
    assert "XlaDynamicUpdateSlice" not in {operation.type for operation in graph.get_operations()}

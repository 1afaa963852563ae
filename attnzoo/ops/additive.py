"""The additive comparison, in blocks: it never holds [B, T, S, U] at once."""

import keras
from keras import ops

from attnzoo.backend import ON_JAX, ON_TORCH, choose
from attnzoo.checks import agree
from attnzoo.ops.blocks import (
    block_sizes,
    cut_blocks,
    cut_examples,
    join_blocks,
    join_examples,
    scan_blocks,
)
from attnzoo.ops.linear import linear
from attnzoo.ops.sizes import fits_whole

# Elements of one block [b, t, S, U]. In float32 0.5 MiB, so that a core keeps it in its own cache;
# on torch 8 MiB, as there each operation costs a call from Python and a meeting of all threads.
_BLOCK_ELEMENTS = choose(2**17, torch=2**21)
# Up to this many elements [B, T, S, U] plain autodiff is at least as fast as blocks.
_WHOLE_ELEMENTS = choose(2**20, torch=2**22)
# Where sizes are open, up to this many queries of a source are compared without blocks.
_FEW_QUERIES = 16


def additive_scores(query, key, vector):
    """Compare every query with every key through a tanh.

        scores[b, t, s] = sum over u of vector[u] * tanh(query[b, t, u] + key[b, s, u])

    Written out, this needs [B, T, S, U] floats forward and several times that backward. Past a size
    it goes through B and T in blocks and keeps nothing of a block: the backward pass computes the
    tanh again. The numbers are the same. Sums are accumulated in float32 at least.

    There is a first derivative only: past that size the gradient cannot be differentiated again.

    Args:
        query: float [B, T, U].
        key: float [B, S, U].
        vector: float [U].

    Returns:
        float [B, T, S], of the widest dtype of the three.

    Raises:
        ValueError: If the batch sizes or the widths differ, or a rank is not as above.

    Example:
        >>> attnzoo.ops.additive_scores(query, key, vector).shape  # B=2, T=3, S=11
        (2, 3, 11)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), appendix A.1.2.
    """
    if any(isinstance(tensor, keras.KerasTensor) for tensor in (query, key, vector)):
        return _AdditiveScores().symbolic_call(query, key, vector)
    query, key, vector = (ops.convert_to_tensor(tensor) for tensor in (query, key, vector))
    dtype = _check(query, key, vector)
    wide = dtype if dtype == "float64" else "float32"
    query, key, vector = (ops.cast(tensor, wide) for tensor in (query, key, vector))
    return ops.cast(_comparison(query, key)(query, key, vector), dtype)


@keras.saving.register_keras_serializable(package="attnzoo")
class _AdditiveScores(keras.Operation):
    """`additive_scores` as a node of a functional model."""

    def call(self, query, key, vector):
        return additive_scores(query, key, vector)

    def compute_output_spec(self, query, key, vector):
        dtype = _check(query, key, vector)
        return keras.KerasTensor((*query.shape[:2], key.shape[1]), dtype=dtype)


def _check(query, key, vector):
    """Check the shapes as far as they are known; return the dtype of the scores."""
    shapes = tuple(query.shape), tuple(key.shape), tuple(vector.shape)
    fits = tuple(map(len, shapes)) == (3, 3, 1)
    fits = fits and agree(shapes[0][0], shapes[1][0]) and agree(*(shape[-1] for shape in shapes))
    if not fits:
        raise ValueError(
            "`query` [B, T, U], `key` [B, S, U] and `vector` [U] must have one batch size and one "
            f"width. Received shapes: query={shapes[0]}, key={shapes[1]}, vector={shapes[2]}"
        )
    return keras.backend.result_type(query.dtype, key.dtype, vector.dtype)


def _comparison(query, key):
    """Return the function that compares best for these sizes, on this backend."""
    if query.shape[1] == 1 and not ON_TORCH:
        return _one_step
    return _whole if _is_small(query.shape, key.shape) else _blockwise


def _is_small(query_shape, key_shape):
    """Return whether [B, T, S, U] may be held at once."""
    batch, query_length, units = query_shape
    if query_length == 1:
        return True  # [B, 1, S, U] is as large as the key.
    if None in (batch, key_shape[1]) and query_length is not None:
        return query_length <= _FEW_QUERIES  # A beam in a graph for sources of any length.
    return fits_whole((batch, query_length, key_shape[1], units), _WHOLE_ELEMENTS)


def _hidden(query, key):
    return ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(key, 1))  # [B, T, S, U]


@ops.custom_gradient
def _one_step(query, key, vector):
    """Compare one step of a decoding loop: the backward pass computes [B, 1, S, U] again."""

    def gradient(upstream):
        hidden = _hidden(query, key)  # [B, 1, S, U]
        gradients = ops.expand_dims(upstream, -1) * (1.0 - hidden * hidden) * vector
        vector_gradient = ops.sum(ops.expand_dims(upstream, -1) * hidden, axis=(0, 1, 2))
        return ops.sum(gradients, axis=2), ops.sum(gradients, axis=1), vector_gradient

    return _whole(query, key, vector), gradient


def _whole(query, key, vector):
    return ops.squeeze(linear(_hidden(query, key), ops.expand_dims(vector, -1)), -1)  # [B, T, S]


@ops.custom_gradient
def _blockwise(query, key, vector):
    def gradient(*args, upstream=None):
        # torch gives the arguments again and the upstream by name; the others give it alone.
        return _blockwise_gradients(query, key, vector, args[0] if upstream is None else upstream)

    return _blockwise_scores(query, key, vector), gradient


def _blockwise_scores(query, key, vector):
    examples, steps = _block_sizes(query, key)

    def example(_, elements):
        queries, key = elements

        def block(_, elements):
            (query,) = elements
            return (), (_whole(query, key, vector),)  # [b, t, S]

        return scan_blocks(block, (), (queries,))  # [T / t, b, t, S]

    elements = cut_blocks(query, examples, steps), cut_examples(key, examples)
    _, (scores,) = scan_blocks(example, (), elements)  # [B / b, T / t, b, t, S]
    batch, query_length, _ = ops.shape(query)
    return join_blocks(scores, (batch, query_length, ops.shape(key)[1]), examples, steps)


def _blockwise_gradients(query, key, vector, upstream):
    """Return the gradients of `query`, `key` and `vector`.

    With h the hidden units and g the upstream gradient of the scores they are

        vector:  sum over b, t, s of g h
        query:   vector * sum over s of g (1 - h^2)
        key:     vector * sum over t of g (1 - h^2)

    Of the two terms of 1 - h^2 only the second is as large as a block; the first is added outside.
    """
    examples, steps = _block_sizes(query, key)

    def example(vector_gradient, elements):
        queries, key, upstreams = elements

        def block(sums, elements):
            vector_gradient, key_squares = sums
            query, upstream = elements
            hidden = _hidden(query, key)  # [b, t, S, U]
            rows = ops.reshape(hidden, (-1, ops.shape(hidden)[-1]))  # [b t S, U]
            vector_gradient = vector_gradient + ops.matmul(ops.reshape(upstream, (-1,)), rows)
            # In place on torch, which records no gradients here: the block stays in the cache.
            hidden *= hidden
            hidden *= ops.expand_dims(upstream, -1)
            key_squares = key_squares + _sum_over_steps(hidden)
            return (vector_gradient, key_squares), (ops.sum(hidden, 2),)

        sums = vector_gradient, ops.zeros_like(key)
        sums, (query_squares,) = scan_blocks(block, sums, (queries, upstreams))
        vector_gradient, key_squares = sums
        return vector_gradient, (query_squares, key_squares)

    vector_gradient, (query_squares, key_squares) = scan_blocks(
        example,
        ops.zeros_like(vector),
        (
            cut_blocks(query, examples, steps),
            cut_examples(key, examples),
            cut_blocks(upstream, examples, steps),
        ),
        num_outputs=2,
    )
    query_squares = join_blocks(query_squares, ops.shape(query), examples, steps)
    key_squares = join_examples(key_squares, ops.shape(key), examples)
    query_sums = ops.expand_dims(ops.sum(upstream, 2), -1)  # [B, T, 1]
    key_sums = ops.expand_dims(ops.sum(upstream, 1), -1)  # [B, S, 1]
    query_gradient = vector * (query_sums - query_squares)
    key_gradient = vector * (key_sums - key_squares)
    return query_gradient, key_gradient, vector_gradient


def _sum_over_steps(hidden):
    """Sum [b, t, S, U] over t; on JAX as a product, as its sum is several times slower on a CPU."""
    if not ON_JAX:
        return ops.sum(hidden, 1)
    examples, steps, memory_length, units = ops.shape(hidden)
    rows = ops.reshape(hidden, (examples, steps, memory_length * units))
    sums = ops.matmul(ops.ones((examples, 1, steps), hidden.dtype), rows)  # [b, 1, S U]
    return ops.reshape(sums, (examples, memory_length, units))


def _block_sizes(query, key):
    """Return the examples b and the query steps t of a block."""
    batch, query_length, units = ops.shape(query)
    return block_sizes(batch, query_length, ops.shape(key)[1] * units, _BLOCK_ELEMENTS)

"""Dot-product attention in blocks: it never holds [B, N, T, S] at once.

Rows R are heads of examples. A block is some steps t of one row, or all steps of some rows r, with
all of memory beside it, so each softmax is whole. The forward pass keeps the logarithm of its sum,
from which the backward pass computes the alignments of a block again:

    alignments = exp(scores - total)
    value:     alignments' upstream
    scores:    alignments * (upstream value' - sum over d of upstream * context)
    key:       scores' query            query:     scores key

All products are of plain matrices, [m, k] with [k, n]: key and value come transposed, and their
gradients leave so. XLA's product of a transposed block takes three times as long on a CPU.
"""

from keras import ops

from attnzoo.ops.blocks import cut_examples, join_blocks, join_examples
from attnzoo.ops.dot_product.block_layout import LOWEST, USE_SOFTMAX, BlockLayout, transposed
from attnzoo.ops.dot_product.rows import Rows
from attnzoo.ops.dot_product.terms import Terms
from attnzoo.ops.normalizers import masked_softmax


def attend_in_blocks(query, key, value, bias, terms: Terms, elements: int):
    """Attend block by block.

    Args:
        query: float [B, N, T, D], scaled.
        key: float [B, N, S, D].
        value: float [B, N, S, Dv].
        bias: float [B or 1, N or 1, T, S], added to the scores; or None.
        terms: Masks, dropout and the like.
        elements: How many elements [r, t, S] a block may take.

    Returns:
        The context, float [B, N, T, Dv].
    """
    rows = Rows(query, bias, terms, elements)

    @ops.custom_gradient
    def attend(query, key, value, *bias):
        context, *totals = _forward(rows, query, key, value, *bias)
        # On torch the result itself, kept here, would hold on to its own graph for ever.
        kept = ops.stop_gradient(context)

        def gradient(*args, upstream=None):
            # torch gives the arguments again and the upstream by name; the others give it alone.
            upstream = args[0] if upstream is None else upstream
            return _backward(rows, query, key, value, bias, kept, totals, upstream)

        return context, gradient

    return attend(query, key, value, *([] if bias is None else [bias]))


# === Forward ===


def _forward(rows: Rows, query, key, value, bias=None) -> list:
    """Return the context [B, N, T, Dv], then the logarithms of the softmaxes' sums, if kept."""
    tensors = {
        "query": rows.cut(query),
        "key": rows.cut(key),
        "value": rows.cut(value),
        "numbers": rows.numbers(),
    }
    if bias is not None:
        tensors["bias"] = rows.flat_bias(bias)
    outputs = rows.over_groups(_group_contexts, tensors, 1 if USE_SOFTMAX else 2)
    return [rows.join(output, ops.shape(query)[2]) for output in outputs]


def _group_contexts(rows: Rows, query, key, value, numbers, bias=None):
    layout = BlockLayout(rows, query, key, numbers, bias)

    def block(_, pieces):
        scores, mask, _ = layout.scores(pieces)
        factors = layout.dropout_factors(pieces)
        if USE_SOFTMAX:
            alignments = masked_softmax(scores, mask)
            used = alignments if factors is None else alignments * factors
            return (), (ops.matmul(used, pieces["value"]),)
        scores = scores if mask is None else ops.where(mask, scores, LOWEST)
        # With nothing to attend to, all powers become zero.
        highest = ops.maximum(ops.max(scores, axis=-1, keepdims=True), 0.5 * LOWEST)
        powers = ops.exp(scores - highest)
        total = ops.sum(powers, axis=-1, keepdims=True)
        some = total > 0.0
        total = ops.where(some, total, 1.0)
        used = powers if factors is None else powers * factors
        context = ops.matmul(used, pieces["value"]) / total
        return (), (context, ops.where(some, highest + ops.log(total), 0.0))

    def row(_, pieces):
        _, outputs = layout.over_steps(block, (), pieces, num_outputs)
        return (), outputs

    num_outputs = 1 if USE_SOFTMAX else 2
    pieces = {"query": layout.cut(query), "value": cut_examples(value, layout.rows)}
    _, outputs = layout.over_rows(row, pieces, num_outputs)
    return tuple(layout.join(output) for output in outputs)


# === Backward ===


def _backward(rows: Rows, query, key, value, bias, context, totals, upstream):
    """Return the gradients of query, key and value, and of the bias if there is one.

    Args:
        rows: As in the forward pass.
        query, key, value: As in `attend_in_blocks`.
        bias: List of the bias, or of nothing.
        context: The context of the forward pass.
        totals: List of the logarithms of the softmaxes' sums, or of nothing.
        upstream: float [B, N, T, Dv].
    """
    tensors = {
        "query": rows.cut(query),
        "key": rows.cut(key),
        "value": rows.cut(value),
        "upstream": rows.cut(upstream),
        "means": rows.cut(ops.sum(upstream * context, axis=-1, keepdims=True)),
        "numbers": rows.numbers(),
    }
    if totals:
        tensors["totals"] = rows.cut(totals[0])
    if bias:
        tensors["bias"] = rows.flat_bias(bias[0])
    gradients = rows.over_groups(_group_gradients, tensors, num_outputs=3 + len(bias))
    query_gradient = rows.join(gradients[0], ops.shape(query)[2])
    # Those of key and value leave as [.., D, S].
    key_gradient, value_gradient = (
        rows.join(ops.transpose(one, (0, 1, 3, 2)), ops.shape(key)[2]) for one in gradients[1:3]
    )
    bias_gradient = [ops.reshape(gradients[3], ops.shape(bias[0]))] if bias else []
    return query_gradient, key_gradient, value_gradient, *bias_gradient


def _group_gradients(
    rows: Rows, query, key, value, upstream, means, numbers, totals=None, bias=None
):
    layout = BlockLayout(rows, query, key, numbers, bias)
    biased = bias is not None

    def row(bias_gradient, pieces):
        value_sums = ops.zeros_like(pieces["value"][:, : value.shape[-1]])
        sums = ops.zeros_like(pieces["key"]), value_sums
        (key_gradient, value_gradient), outputs = layout.over_steps(
            lambda sums, pieces: _block_gradients(layout, sums, pieces, biased),
            sums,
            pieces,
            num_outputs=1 + biased,
        )
        if biased:  # TensorFlow has lost the sizes that it knew.
            bias_gradient = bias_gradient + ops.reshape(outputs[1], ops.shape(bias_gradient))
        return bias_gradient, (outputs[0], key_gradient, value_gradient)

    pieces = _backward_pieces(layout, query, key, value, upstream, means, totals)
    bias_gradient = ops.zeros_like(layout.shared["bias"]) if biased else ()
    bias_gradient, (query_gradient, key_gradient, value_gradient) = layout.over_rows(
        row, pieces, num_outputs=3, carry=bias_gradient
    )
    count, memory_length, width = ops.shape(key)
    key_gradient = join_examples(key_gradient, (count, width, memory_length), layout.rows)
    value_shape = count, value.shape[-1], memory_length
    value_gradient = join_examples(value_gradient, value_shape, layout.rows)
    gradients = layout.join(query_gradient), key_gradient, value_gradient
    if not biased:
        return gradients
    shape = 1, ops.shape(query)[1], memory_length
    bias_gradient = join_blocks(bias_gradient[None], shape, 1, layout.steps)
    return *gradients, bias_gradient[0]


def _backward_pieces(layout: BlockLayout, query, key, value, upstream, means, totals) -> dict:
    """Cut what the backward pass reads into blocks."""
    pieces = {
        "query": layout.cut(query),
        "upstream": layout.cut(upstream),
        "means": layout.cut(means),
        "whole_key": cut_examples(key, layout.rows),
    }
    value_rows = transposed(value)
    if _subtracts_in_product(layout):
        both = ops.concatenate([upstream, -means], axis=-1)
        pieces["upstream_and_means"] = layout.cut(both)
        ones = ops.ones_like(value_rows[:, :1])
        value_rows = ops.concatenate([value_rows, ones], axis=1)  # [R, Dv + 1, S]
    pieces["value"] = cut_examples(value_rows, layout.rows)
    if totals is not None:
        pieces["totals"] = layout.cut(totals)
    return pieces


def _subtracts_in_product(layout: BlockLayout) -> bool:
    """Return whether `upstream value' - means` is one product, of both side by side."""
    return USE_SOFTMAX and not layout.terms.dropout


def _block_gradients(layout: BlockLayout, sums, pieces: dict, biased: bool):
    key_sums, value_sums = sums
    upstream = pieces["upstream"]
    scores, mask, slope = layout.scores(pieces, with_slope=True)
    if USE_SOFTMAX:
        alignments = masked_softmax(scores, mask)  # [r, t, S]
    else:
        scores = scores if mask is None else ops.where(mask, scores, LOWEST)
        alignments = ops.exp(scores - pieces["totals"])
    # The value is [r, Dv, S] here.
    gradient = ops.matmul(pieces.get("upstream_and_means", upstream), pieces["value"])
    used = alignments
    factors = layout.dropout_factors(pieces)
    if factors is not None:
        used, gradient = alignments * factors, gradient * factors
    if not _subtracts_in_product(layout):
        gradient = gradient - pieces["means"]
    value_sums = value_sums + ops.matmul(transposed(upstream), used)  # [r, Dv, S]
    gradient = alignments * gradient  # Of the scores, [r, t, S].
    bias_gradient = (ops.sum(gradient, axis=0, keepdims=True),) if biased else ()  # [1, t, S]
    gradient = gradient if slope is None else gradient * slope
    key_sums = key_sums + ops.matmul(transposed(pieces["query"]), gradient)  # [r, D, S]
    query_gradient = ops.matmul(gradient, pieces["whole_key"])  # [r, t, D]
    return (key_sums, value_sums), (query_gradient, *bias_gradient)

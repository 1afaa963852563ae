"""Attention of the heads of many windows, which share a bias, computed the way that is fast."""

from keras import ops

from attnzoo.backend import ON_TORCH
from attnzoo.ops.dot_product import align_heads, dot_product_attention, dot_product_scores
from attnzoo.ops.sizes import fits_whole

# Up to this many elements [B * Nw, N, T, S] alignments are held whole, which is faster.
_WHOLE_ELEMENTS = 2**25


def align_windows(query, key, bias, mask=None):
    """Compute the alignments of all windows.

        alignments[w, n] = softmax over s of (query[w, n, t] · key[w, n, s] / sqrt(d) + bias[n])

    Args:
        query: float [B * Nw, N, T, d].
        key: float [B * Nw, N, S, d].
        bias: float [N, T, S].
        mask: bool [Nw, T, S], or None. True = may attend. Each query may attend to some key.

    Returns:
        float [B * Nw, N, T, S], float32 at least. Exactly 0 where the mask is False.
    """
    scores = dot_product_scores(query, key)
    if not ON_TORCH:
        return align_heads(scores, bias=bias, attention_mask=_for_each_image(mask, query))
    # One sum and torch's own softmax go over the scores fewer times.
    bias = ops.cast(bias, scores.dtype)
    if mask is None:
        return ops.softmax(scores + bias, axis=-1)
    windows, shape = ops.shape(mask)[0], ops.shape(scores)
    hidden = ops.where(mask, ops.zeros((), scores.dtype), float("-inf"))
    bias = bias + hidden[:, None]  # [Nw, N, T, S]
    scores = ops.reshape(scores, (-1, windows, *shape[1:])) + bias
    return ops.reshape(ops.softmax(scores, axis=-1), shape)


def attend_in_windows(query, key, value, bias, mask=None):
    """Return the context of all windows, float [B * Nw, N, T, d].

    Args: as in `align_windows`, and
        value: float [B * Nw, N, S, d].
    """
    needs_gradient = getattr(bias, "requires_grad", False)
    by_kernel = ON_TORCH and mask is None and not needs_gradient
    sizes = (*query.shape[:3], key.shape[2])
    if by_kernel or not fits_whole(sizes, _WHOLE_ELEMENTS):
        mask = _for_each_image(mask, query)
        return dot_product_attention(query, key, value, bias=bias, attention_mask=mask)
    alignments = align_windows(query, key, bias, mask)
    return ops.matmul(alignments, ops.cast(value, alignments.dtype))


def _for_each_image(mask, query):
    """Repeat the mask of an image's windows for each image: bool [B * Nw, 1, T, S], or None."""
    if mask is None:
        return None
    windows, queries, keys = ops.shape(mask)
    images = ops.shape(query)[0] // windows
    repeated = ops.broadcast_to(mask[None], (images, windows, queries, keys))
    return ops.reshape(repeated, (-1, 1, queries, keys))

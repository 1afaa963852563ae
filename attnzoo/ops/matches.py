"""Which tokens of a text also stand in another text of the same row."""

from keras import ops

from attnzoo.checks import check_positive


def ngram_matches(token_ids, memory_mask, query_mask, n: int = 1):
    """Mark the tokens that are part of an n-gram which the memory holds too.

        match[b, s] = 1 if for some n-gram of query tokens around s, and some n-gram of memory
                      tokens, all n tokens are equal

    Args:
        token_ids: int [B, S]. Query and memory in one row.
        memory_mask: bool [B, S], True at the tokens to look in, such as a question's.
        query_mask: bool [B, S], True at the tokens to mark, such as a context's.
        n: Length of the n-grams, in tokens. At least 1.

    Returns:
        bool [B, S].

    Raises:
        ValueError: If `n` is below 1.

    Example:
        >>> ids = [[5, 6, 3, 9, 5, 6, 6]]
        >>> question = [[True, True, False, False, False, False, False]]
        >>> context = [[False, False, False, True, True, True, True]]
        >>> attnzoo.ops.ngram_matches(ids, question, context, n=2)
        [[False, False, False, False, True, True, False]]

    References:
        [Weissenborn et al., 2017](https://arxiv.org/abs/1703.04816), section 3.2.1 (n=1).
    """
    check_positive(n=n)
    token_ids = ops.convert_to_tensor(token_ids)
    memory_mask = ops.cast(ops.convert_to_tensor(memory_mask), "bool")
    query_mask = ops.cast(ops.convert_to_tensor(query_mask), "bool")
    equal = token_ids[:, :, None] == token_ids[:, None, :]  # [B, S, S]
    equal = equal & query_mask[:, :, None] & memory_mask[:, None, :]
    whole = equal
    for shift in range(1, n):  # An n-gram that begins at (s, q) goes along a diagonal.
        moved = ops.pad(equal[:, shift:, shift:], ((0, 0), (0, shift), (0, shift)))
        whole = whole & moved[:, : token_ids.shape[1], : token_ids.shape[1]]
    begins = ops.any(whole, axis=2)  # [B, S]
    match = begins
    for shift in range(1, n):
        match = match | ops.pad(begins, ((0, 0), (shift, 0)))[:, : -shift or None]
    return match

"""Ids of copied symbols: with V target tokens, V + s is the symbol at position s of the source.

The id of a repeated symbol is that of its first position. Each function takes the symbols of both
sides as a tokenizer's `symbols` splits them, the source truncated as for the model: lists of
strings, of one text or of a batch; or, inside a `tf.function`, a tf.string tensor [S] of one text
or a ragged one [B, (S)] of a batch.
"""

import keras

from attnzoo.data.tokenizers import in_graph


def copy_ids(source, tokenizer: keras.layers.Layer):
    """Return the ids for copies of a source's symbols.

    Args:
        source: Symbols of one source or of a batch.
        tokenizer: Of the target; its vocabulary has V tokens.

    Returns:
        Ids, nested like `source`: the id of a symbol in the target vocabulary, else V + the first
        position of the symbol in this source.

    Example:
        >>> tokenizer = attnzoo.data.SymbolTokenizer.from_texts(["is"])  # V = 5
        >>> copy_ids(["Ada", "is", "Ada"], tokenizer)
        [5, 4, 5]
    """
    return extend_ids(source, source, tokenizer)


def extend_ids(target, source, tokenizer: keras.layers.Layer):
    """Return the ids of a target that may copy symbols of its source.

    Args:
        target: Symbols of one target or of a batch.
        source: Symbols of its source, or of the batch's sources.
        tokenizer: Of the target; its vocabulary has V tokens.

    Returns:
        Ids, nested like `target`: the id of a symbol in the vocabulary; else V + its first position
        in the source; else the id of the unknown token.

    Example:
        >>> extend_ids(["Bob", "is", "Ada"], ["Ada", "is", "Ada"], tokenizer)
        [1, 4, 5]
    """
    if in_graph():
        return _extend_in_graph(target, source, tokenizer)
    if source and isinstance(source[0], list):
        return [extend_ids(*pair, tokenizer) for pair in zip(target, source, strict=True)]
    size, unknown = tokenizer.vocabulary_size(), tokenizer.unk_token_id
    first: dict[str, int] = {}
    for place, symbol in enumerate(source):
        first.setdefault(symbol, size + place)
    ids = tokenizer.look_up(target)
    return [
        first.get(symbol, unknown) if id == unknown else id
        for symbol, id in zip(target, ids, strict=True)
    ]


def spell_ids(ids, mask, source, tokenizer: keras.layers.Layer):
    """Return the text of ids that may copy symbols of a source, like `detokenize`.

    Args:
        ids: int [B, T]. Ids as `extend_ids` gives them: nested lists, an array, or inside a
            `tf.function` a tensor.
        mask: bool [B, T]. True for ids to be shown.
        source: Symbols of B sources.
        tokenizer: Of the target.

    Returns:
        B strings. An id beyond the end of the source is shown as unknown.

    Example:
        >>> spell_ids([[5, 4, 1, 3]], [[True, True, True, False]], [["Ada", "is"]], tokenizer)
        ['Ada is [UNK]']
    """
    if in_graph():
        return _spell_in_graph(ids, mask, source, tokenizer)
    tokens = tokenizer.get_vocabulary()

    def spell(id, symbols):
        if id < len(tokens):
            return tokens[id]
        place = id - len(tokens)
        return symbols[place] if place < len(symbols) else tokenizer.unk_token

    return [
        tokenizer.separator.join(
            spell(int(id), symbols) for id, shown in zip(row, real, strict=True) if shown
        )
        for row, real, symbols in zip(ids, mask, source, strict=True)
    ]


def _extend_in_graph(target, source, tokenizer):
    import tensorflow as tf

    if not isinstance(source, tf.RaggedTensor):  # One text
        target, source = (tf.RaggedTensor.from_tensor(one[None]) for one in (target, source))
        return _extend_in_graph(target, source, tokenizer)[0]
    ids = tokenizer.look_up(target)
    # No symbol is empty: padding equals no target, except padding that is removed later.
    source = tf.pad(source.to_tensor(), [[0, 0], [0, 1]])  # [B, S + 1], one place at least
    target = target.to_tensor()
    same = tf.equal(target[:, :, None], source[:, None])  # [B, T, S + 1]
    place = tf.argmax(tf.cast(same, tf.int32), axis=-1, output_type=tf.int32)  # The first.
    copied = tf.cast(tokenizer.vocabulary_size() + place, ids.dtype)
    known = ids.to_tensor(tokenizer.unk_token_id)
    from_source = (known == tokenizer.unk_token_id) & tf.reduce_any(same, axis=-1)
    extended = tf.where(from_source, copied, known)
    return tf.RaggedTensor.from_tensor(extended, lengths=ids.row_lengths())


def _spell_in_graph(ids, mask, source, tokenizer):
    import tensorflow as tf

    tokens = tf.constant(tokenizer.get_vocabulary())
    size = tokenizer.vocabulary_size()
    symbols = source.to_tensor(tokenizer.unk_token)
    symbols = tf.pad(symbols, [[0, 0], [0, 1]], constant_values=tokenizer.unk_token)  # [B, S + 1]
    places = tf.clip_by_value(ids - size, 0, tf.shape(symbols)[1] - 1)
    copied = tf.gather(symbols, places, batch_dims=1)  # [B, T]
    said = tf.gather(tokens, tf.minimum(ids, size - 1))
    shown = tf.ragged.boolean_mask(tf.where(ids < size, said, copied), tf.cast(mask, tf.bool))
    return tf.strings.reduce_join(shown, axis=-1, separator=tokenizer.separator)

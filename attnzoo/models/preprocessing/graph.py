"""Preprocessing functions for tensors, in `tf.data` and in exports; see `forms`.

`eager` documents their arguments and results; here tensors replace arrays, and `tf.RaggedTensor`s
replace lists of lists.
"""

from attnzoo.models.preprocessing.packing import SPLITTER, lengths_up_to


def as_ragged(ids):
    """Return the ids of a tokenizer as a `tf.RaggedTensor`."""
    import tensorflow as tf

    return ids if isinstance(ids, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(ids)


def as_batch(x):
    """Return whether raw texts are a single string, and the texts as a batch."""
    import tensorflow as tf

    x = tf.convert_to_tensor(x, tf.string)
    return (True, x[None]) if x.shape.rank == 0 else (False, x)


def check_texts(texts, kind: str = "text", *, may_be_blank: bool = False):
    """Return texts unchanged: a graph does not check them."""
    return texts


def concatenate(texts, others):
    """Return two batches of texts as one."""
    import tensorflow as tf

    return tf.concat([texts, others], axis=0)


def repeat_batch(values, times: int):
    """Return a batch [B], repeated along its first axis."""
    import tensorflow as tf

    return tf.tile(values, [times])


def number_rows(texts):
    """Return the indices of a batch's rows, int32 [B]."""
    import tensorflow as tf

    return tf.range(tf.shape(texts)[0])


# === Tokens ===


def tokenize(tokenizer, texts):
    """Return the ids of B texts, unpacked: a `tf.RaggedTensor` [B, (S)]."""
    return as_ragged(tokenizer(texts))


def count_tokens(rows):
    """Return the lengths of unpacked rows, int32 [B]."""
    import tensorflow as tf

    return tf.cast(rows.row_lengths(), tf.int32)


def apply_truncation(value, lengths, limit: int, truncate: str, truncation, kind: str = "text"):
    """Return a value that depends on the warning, or the error, about texts that are too long."""
    import tensorflow as tf

    longest = tf.reduce_max(lengths)
    if truncate == "error":
        message = f"{truncation.rule(limit, kind)} a {kind} with this many:"
        waits_for = [tf.debugging.Assert(longest <= limit, [message, longest])]
    elif truncate == "silent" or truncation.has_warned(kind):
        return value
    else:
        count = tf.reduce_sum(tf.cast(lengths > limit, tf.int32))

        def warn():
            facts = [count, tf.size(lengths), longest, limit]
            warned = tf.numpy_function(lambda *facts: truncation.warn(*facts, kind), facts, [])
            with tf.control_dependencies([warned]):
                return tf.constant(True)

        waits_for = [tf.cond(longest > limit, warn, lambda: tf.constant(False))]
    with tf.control_dependencies(waits_for):
        return tf.identity(value)


def padded_length(lengths, limit: int, fixed: bool = False):
    """Return the length to pad to, an int32 scalar: one of a few, or the limit if fixed."""
    import tensorflow as tf

    longest = tf.minimum(tf.reduce_max(lengths), limit)
    few = tf.constant([limit] if fixed else lengths_up_to(limit))
    return few[tf.searchsorted(few, [longest])[0]]


def pack_rows(rows, length, *, start=None, end=None, padding=0):
    """Truncate rows [B, (S)] of ids, add start and end, and pad."""
    import tensorflow as tf

    starts, ends = ([] if one is None else [one] for one in (start, end))
    room = length - len(starts) - len(ends)
    rows = tf.cast(as_ragged(rows), tf.int32)[:, :room]
    one = tf.ones([rows.nrows(), 1], tf.int32)
    rows = tf.concat([*(i * one for i in starts), rows, *(i * one for i in ends)], axis=1)
    packed = rows.to_tensor(padding)
    missing = [[0, 0], [0, length - tf.shape(packed)[1]]]
    packed = tf.pad(packed, missing, constant_values=padding)
    return packed, tf.sequence_mask(rows.row_lengths(), length)


def weigh(weight, sample_weight):
    """Return weights or a mask [B, M], times weights [B] of rows or None: float32 [B, M]."""
    import tensorflow as tf

    weight = tf.cast(weight, tf.float32)
    return (
        weight if sample_weight is None else weight * tf.cast(sample_weight, tf.float32)[..., None]
    )


# === Labels and words ===


def label_ids(labels, classes):
    """Return the ids of labels, dense or ragged, like `ClassLabels.ids`."""
    import tensorflow as tf

    if isinstance(labels, tf.RaggedTensor):
        return labels.with_flat_values(label_ids(labels.flat_values, classes))
    labels = tf.convert_to_tensor(labels)
    if labels.dtype == tf.string:
        classes.need_names("a string")
        same = tf.equal(labels[..., None], tf.constant(classes.class_names))  # [..., C]
        ids = tf.argmax(tf.cast(same, tf.int32), axis=-1, output_type=tf.int32)
        known = tf.reduce_any(same, axis=-1)
    else:
        ids = tf.cast(labels, tf.int32)
        known = (ids >= 0) & (ids < classes.num_classes) & (tf.cast(ids, labels.dtype) == labels)
    received = tf.boolean_mask(labels, ~known)[:1]
    message = f"A label must be {classes.rule()}. Received:"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(known), [message, received])]):
        return tf.identity(ids)


def split_words(texts):
    """Split a dense tensor of strings at white space; return other tensors unchanged."""
    import tensorflow as tf

    whole = not isinstance(texts, tf.RaggedTensor) and texts.dtype == tf.string
    return SPLITTER.symbols(texts) if whole and texts.shape.rank < 2 else texts


def tokenize_words(tokenizer, words):
    """Tokenize each word [B, (W)] separately."""
    import tensorflow as tf

    pieces = as_ragged(tokenizer(words.flat_values))  # [words of all texts, (P)]
    lengths = pieces.row_lengths()
    missing = tf.boolean_mask(words.flat_values, lengths == 0)
    message = "A word must have at least one token. Received:"
    with tf.control_dependencies([tf.debugging.Assert(tf.size(missing) == 0, [message, missing])]):
        ids = tf.identity(tf.cast(pieces.flat_values, tf.int32))
    splits = tf.gather(pieces.row_splits, words.row_splits)  # Row splits of the texts, in tokens.
    ids = tf.RaggedTensor.from_row_splits(ids, splits)
    firsts = tf.cast(tf.ragged.range(lengths).flat_values == 0, tf.int32)
    return ids, ids.with_flat_values(firsts), lengths


def spread_tags(tags, words, firsts, counts):
    """Assign the tag of each word to its first token."""
    import tensorflow as tf

    tags = tags if isinstance(tags, tf.RaggedTensor) else as_ragged(tf.convert_to_tensor(tags))
    as_many = tf.reduce_all(words.row_lengths() == tags.row_lengths())
    message = "A text must have as many tags as words. Received words and tags:"
    given = [message, words.row_lengths(), tags.row_lengths()]
    with tf.control_dependencies([tf.debugging.Assert(as_many, given)]):
        spread = tf.repeat(tf.cast(tags.flat_values, tf.int32), counts) * firsts.flat_values
    return firsts.with_flat_values(spread)


def spell_words(words, firsts, counts, width: int):
    """Assign the UTF-8 bytes of each word to its first token: a `tf.RaggedTensor` [B, (S), W]."""
    import tensorflow as tf

    letters = tf.io.decode_raw(words.flat_values, tf.uint8, fixed_length=width)
    spread = tf.repeat(tf.cast(letters, tf.int32), counts, axis=0)
    return firsts.with_flat_values(spread * firsts.flat_values[:, None])


def pack_bytes(rows, length, width: int, *, before: int = 0, after: int = 0):
    """Cut and pad the rows of `spell_words`, with empty tokens before and after: [B, S, W]."""
    import tensorflow as tf

    packed = rows[:, : length - before - after].to_tensor(0)
    packed = tf.ensure_shape(packed, [None, None, width])
    missing = length - before - tf.shape(packed)[1]
    return tf.pad(packed, [[0, 0], [before, missing], [0, 0]])


# === Masks ===


def hide_tokens(token_ids, chances: dict, special_ids, ordinary_ids, mask_id: int, draw):
    """Mask some of the tokens of packed texts."""
    import tensorflow as tf

    batch, length = tf.unstack(tf.shape(token_ids))
    special = tf.constant(special_ids, tf.int32)
    may = tf.reduce_all(token_ids[:, :, None] != special, axis=-1)
    allowed = tf.reduce_sum(tf.cast(may, tf.float32), axis=1)
    most = tf.cast(tf.round(chances["mask_rate"] * tf.cast(length, tf.float32)), tf.int32)
    most = tf.maximum(most, 1)
    count = tf.minimum(tf.maximum(tf.round(chances["mask_rate"] * allowed), 1.0), allowed)

    drawn = tf.where(may, draw([batch, length]), -1.0)
    places = tf.math.top_k(drawn, most).indices  # [B, M]
    chosen = tf.cast(tf.range(most), tf.float32) < count[:, None]
    there = tf.gather(token_ids, places, batch_dims=1)
    lot = draw([batch, most])
    which = tf.cast(draw([batch, most]) * float(len(ordinary_ids)), tf.int32)
    other = tf.gather(tf.constant(ordinary_ids), tf.minimum(which, len(ordinary_ids) - 1))
    new = tf.where(lot < chances["mask_token_rate"] + chances["random_token_rate"], other, there)
    new = tf.where(lot < chances["mask_token_rate"], mask_id, new)
    new = tf.where(chosen, new, there)
    rows = tf.broadcast_to(tf.range(batch)[:, None], [batch, most])
    token_ids = tf.tensor_scatter_nd_update(token_ids, tf.stack([rows, places], axis=-1), new)
    zero = tf.zeros_like(there)
    positions = tf.where(chosen, places, zero)
    return token_ids, positions, tf.where(chosen, there, zero), tf.cast(chosen, tf.float32)


def tokenize_masks(tokenizer, texts, mask: str, mask_id: int):
    """Return the ids [B, (S)] of texts in which the string `mask` is the mask token."""
    import tensorflow as tf

    parts = tf.strings.split(texts, mask)  # [B, (P)]
    blank = tf.strings.strip(parts.flat_values) == ""
    ids = as_ragged(tokenizer(tf.where(blank, "", parts.flat_values)))
    masks = tf.fill([ids.nrows(out_type=tf.int32), 1], mask_id)
    ids = tf.concat([tf.cast(ids, tf.int32), tf.RaggedTensor.from_tensor(masks)], axis=1)
    # A mask after each part except the last.
    return parts.with_flat_values(ids).merge_dims(1, 2)[:, :-1]


def find_masks(token_ids, mask_id: int) -> dict:
    """Find the positions of the mask token in ids [B, S]."""
    import tensorflow as tf

    is_hidden = token_ids == mask_id
    counts = tf.reduce_sum(tf.cast(is_hidden, tf.int32), axis=1, keepdims=True)
    most = tf.maximum(tf.reduce_max(counts), 1)  # Also if there is none.
    order = tf.argsort(tf.cast(~is_hidden, tf.int32), axis=1, stable=True)
    is_mask = tf.range(most) < counts
    return {"mask_positions": tf.where(is_mask, order[:, :most], 0), "is_mask": is_mask}


# === Outputs ===


def detokenize(tokenizer, token_ids, shown):
    """Return the texts of those ids [B, T] for which `shown` bool [B, T] is True."""
    import tensorflow as tf

    return tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, shown))


def shown_ids(token_ids, padding_mask, special_ids):
    """Return ids, and bool: True at text, which is neither padding nor special."""
    import tensorflow as tf

    shown = tf.cast(padding_mask, tf.bool)
    for special in special_ids:
        shown = tf.logical_and(shown, tf.not_equal(token_ids, special))
    return token_ids, shown


def cut_symbols(symbols, length: int, lowercase: bool):
    """Truncate the symbols of one text or of a batch; convert to lower case if asked for."""
    import tensorflow as tf

    is_batch = isinstance(symbols, tf.RaggedTensor)
    symbols = symbols[:, :length] if is_batch else symbols[:length]
    return tf.strings.lower(symbols, encoding="utf-8") if lowercase else symbols

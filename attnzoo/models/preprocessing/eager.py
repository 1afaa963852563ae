"""Preprocessing functions for Python strings and NumPy arrays; see `forms`."""

import numpy as np
from keras import ops

from attnzoo.models.preprocessing.input_checks import as_texts
from attnzoo.models.preprocessing.packing import SPLITTER, as_lists, fit_length, tokenize_rows


def as_batch(x):
    """Return whether raw texts are a single string, and the texts as a batch."""
    x = as_lists(x)
    return (True, [x]) if isinstance(x, (str, bytes)) else (False, x)


def check_texts(texts, kind: str = "text", *, may_be_blank: bool = False) -> list[str]:
    """Return texts as a list of strings; raise if they are invalid."""
    return as_texts(texts, kind, may_be_blank=may_be_blank)


def concatenate(texts, others) -> list:
    """Return two batches of texts as one."""
    return [*as_lists(texts), *as_lists(others)]


def repeat_batch(values, times: int):
    """Return a batch [B, ...], repeated along its first axis."""
    return np.concatenate([np.asarray(values)] * times)


def number_rows(texts):
    """Return the indices of a batch's rows, int32 [B]."""
    return np.arange(len(as_lists(texts)), dtype="int32")


# === Tokens ===


def tokenize(tokenizer, texts) -> list[list[int]]:
    """Return the ids of B texts, unpacked: lists of int."""
    return tokenize_rows(tokenizer, texts)


def count_tokens(rows):
    """Return the lengths of unpacked rows, int32 [B]."""
    return np.array([len(row) for row in rows], "int32")


def apply_truncation(value, lengths, limit: int, truncate: str, truncation, kind: str = "text"):
    """Warn about texts that are too long, or raise.

    Args:
        value: Returned unchanged; in a graph it depends on the warning.
        lengths: int [B], in tokens, with the special ones.
        limit: The largest allowed length.
        truncate: `"warn"`, `"error"` or `"silent"`.
        truncation: A `Truncation`, which records earlier warnings.
        kind: The name of a text in messages.

    Returns:
        `value`.

    Raises:
        ValueError: If a text is too long and `truncate="error"`; in a graph this is TensorFlow's
            `InvalidArgumentError`.
    """
    longest, count = int(np.max(lengths, initial=0)), int(np.sum(np.greater(lengths, limit)))
    if count and truncate == "error":
        place = int(np.argmax(lengths))
        rule = truncation.rule(limit, kind)
        raise ValueError(f"{rule}: {longest} tokens at position {place}")
    if count and truncate == "warn":
        truncation.warn(count, len(lengths), longest, limit, kind)
    return value


def padded_length(lengths, limit: int, fixed: bool = False):
    """Return the length to pad to: one of a few lengths that holds all, or the limit if fixed."""
    return limit if fixed else fit_length(int(np.max(lengths, initial=0)), limit)


def pack_rows(rows, length, *, start=None, end=None, padding=0):
    """Truncate rows of ids, add start and end, and pad.

    Args:
        rows: Lists of int; in a graph a `tf.RaggedTensor`.
        length: S, in tokens.
        start, end: Values before and after each row, or None.
        padding: Value of the padding.

    Returns:
        int32 [B, S], and the mask bool [B, S], True at real values.
    """
    starts, ends = ([] if one is None else [one] for one in (start, end))
    room = length - len(starts) - len(ends)
    packed = np.full((len(rows), length), padding, "int32")
    mask = np.zeros((len(rows), length), "bool")
    for place, row in enumerate(rows):
        row = [*starts, *row[:room], *ends]
        packed[place, : len(row)] = row
        mask[place, : len(row)] = True
    return packed, mask


def weigh(weight, sample_weight):
    """Return weights or a mask [B, M], times weights [B] of rows or None: float32 [B, M]."""
    weight = ops.convert_to_numpy(weight).astype("float32")
    if sample_weight is None:
        return weight
    return weight * np.asarray(sample_weight, "float32")[..., None]


# === Labels and words ===


def label_ids(labels, classes):
    """Return the ids of labels, like `ClassLabels.ids`."""
    labels = as_lists(labels)
    if not isinstance(labels, (list, tuple)):
        return classes.id(labels)
    return [_label_ids(one, classes, f" at position {n}") for n, one in enumerate(labels)]


def _label_ids(label, classes, place: str):
    """Return the id of a label, or the ids of a list of labels."""
    if isinstance(label, (list, tuple)):
        return [_label_ids(one, classes, place) for one in label]
    return classes.id(label, place)


def split_words(texts):
    """Split texts at white space.

    Args:
        texts: A list, whose strings are split and whose other items are returned unchanged; in a
            graph a tensor, which is split if it is a dense tensor of strings.

    Returns:
        A list of lists of strings; in a graph a `tf.RaggedTensor`.
    """
    if isinstance(texts, (str, bytes)):
        return SPLITTER.symbols(texts)
    return [split_words(one) if isinstance(one, (str, bytes)) else one for one in as_lists(texts)]


def tokenize_words(tokenizer, words):
    """Tokenize each word separately.

    Args:
        tokenizer: A tokenizer.
        words: Lists of words, one for each of B texts; in a graph a `tf.RaggedTensor` [B, (W)].

    Returns:
        The ids of each text; for each id 1 if it is the first token of a word, else 0; and the
        number of tokens of each word. In a graph the first two are `tf.RaggedTensor`s [B, (S)], the
        last is [all words].

    Raises:
        ValueError: If a word gives no token.
    """
    ids, firsts, counts = [], [], []
    for position, row in enumerate(words):
        pieces = [np.ravel(as_lists(piece)) for piece in as_lists(tokenizer(row))]
        for word, piece in zip(row, pieces, strict=True):
            if not len(piece):
                raise ValueError(
                    f"A word must have at least one token. Received: {word!r} at position "
                    f"{position}. Take it out of the text, with its tag."
                )
        counts.append([len(piece) for piece in pieces])
        ids.append([int(i) for piece in pieces for i in piece])
        firsts.append([int(n == 0) for piece in pieces for n in range(len(piece))])
    return ids, firsts, counts


def spread_tags(tags, words, firsts, counts):
    """Assign the tag of each word to its first token.

    Args:
        tags: Tag ids, one for each word of each text.
        words: As in `tokenize_words`.
        firsts, counts: As `tokenize_words` returns them.

    Returns:
        Tag ids, nested like `firsts`, 0 at tokens that are not the first of a word.

    Raises:
        ValueError: If a text has more or fewer tags than words.
    """
    spread = []
    for position, (row, own, sizes) in enumerate(zip(words, as_lists(tags), counts, strict=True)):
        check_as_many(row, own, position)
        pairs = zip(own, sizes, strict=True)
        spread.append([int(tag) if n == 0 else 0 for tag, size in pairs for n in range(size)])
    return spread


def spell_words(words, firsts, counts, width: int):
    """Assign the UTF-8 bytes of each word to its first token.

    Args:
        words, firsts, counts: As in `spread_tags`.
        width: W, the number of bytes of a word: longer ones are cut, and 0 fills up others.

    Returns:
        int32 [S, W] for each text, 0 at tokens that are not the first of a word; in a graph a
        `tf.RaggedTensor` [B, (S), W].
    """
    spelled = []
    for row, marks in zip(words, firsts, strict=True):
        values = np.zeros((len(marks), width), "int32")
        for word, place in zip(row, np.flatnonzero(marks), strict=True):
            letters = (word if isinstance(word, bytes) else word.encode())[:width]
            values[place, : len(letters)] = list(letters)
        spelled.append(values)
    return spelled


def pack_bytes(rows, length, width: int, *, before: int = 0, after: int = 0):
    """Cut and pad the rows of `spell_words`, with empty tokens before and after: [B, S, W]."""
    packed = np.zeros((len(rows), length, width), "int32")
    for values, row in zip(packed, rows, strict=True):
        row = row[: length - before - after]
        values[before : before + len(row)] = row
    return packed


def check_as_many(words, tags, position: int):
    """Raise unless a text has the same number of tags as words."""
    if not hasattr(tags, "__len__"):
        raise ValueError(
            "The tags of a text must be in a list, or in a string with white space between them. "
            f"Received: {tags!r} at position {position}"
        )
    if len(tags) != len(words):
        raise ValueError(
            "A text must have as many tags as words. Received: "
            f"{len(words)} words, {len(tags)} tags at position {position}"
        )


# === Masks ===


def hide_tokens(token_ids, chances: dict, special_ids, ordinary_ids, mask_id: int, draw):
    """Mask some of the tokens of packed texts.

    Args:
        token_ids: int [B, S].
        chances: `mask_rate`, `mask_token_rate` and `random_token_rate`.
        special_ids: Ids that are never masked.
        ordinary_ids: int32 [V], ids for random replacements.
        mask_id: The id of the mask token.
        draw: A `numpy.random.Generator`; in a graph a function of a shape to numbers in [0, 1).

    Returns:
        Ids int32 [B, S] with masked tokens, the positions of these int32 [B, M], the original
        tokens int32 [B, M], and weights float32 [B, M], 0 if a text has fewer than M.
    """
    batch, length = token_ids.shape
    may = ~np.isin(token_ids, special_ids)
    most = max(1, round(chances["mask_rate"] * length))
    wanted = np.maximum(np.rint(chances["mask_rate"] * may.sum(axis=1)), 1)
    count = np.minimum(wanted, may.sum(axis=1))
    drawn = np.where(may, draw.random((batch, length)), 2.0)  # Maskable tokens sort first.
    places = np.argsort(drawn, axis=1)[:, :most]
    chosen = np.arange(most) < count[:, None]
    there = np.take_along_axis(token_ids, places, axis=1)
    lot = draw.random((batch, most))
    other = draw.choice(ordinary_ids, (batch, most))
    new = np.where(lot < chances["mask_token_rate"] + chances["random_token_rate"], other, there)
    new = np.where(lot < chances["mask_token_rate"], mask_id, new)
    token_ids = token_ids.copy()
    np.put_along_axis(token_ids, places, np.where(chosen, new, there).astype("int32"), axis=1)
    positions = np.where(chosen, places, 0).astype("int32")
    return token_ids, positions, np.where(chosen, there, 0), chosen.astype("float32")


def tokenize_masks(tokenizer, texts, mask: str, mask_id: int) -> list[list[int]]:
    """Return the ids of texts in which the string `mask` is the mask token, unpacked."""
    rows = []
    for text in as_texts(texts):
        row = []
        for count, part in enumerate(text.split(mask)):
            row += [mask_id] * (count > 0)
            row += tokenize_rows(tokenizer, [part])[0] if part.strip() else []
        rows.append(row)
    return rows


def find_masks(token_ids, mask_id: int) -> dict:
    """Find the positions of the mask token in ids [B, S].

    Returns:
        dict of `mask_positions` int32 [B, M] and `is_mask` bool [B, M], M at least 1.
    """
    is_hidden = token_ids == mask_id
    counts = is_hidden.sum(axis=1, keepdims=True)
    most = max(int(counts.max(initial=0)), 1)  # Also if there is none.
    order = np.argsort(~is_hidden, axis=1, kind="stable")
    is_mask = np.arange(most) < counts
    return {
        "mask_positions": np.where(is_mask, order[:, :most], 0).astype("int32"),
        "is_mask": is_mask,
    }


# === Outputs ===


def detokenize(tokenizer, token_ids, shown):
    """Return the texts of those ids [B, T] for which `shown` bool [B, T] is True."""
    kept = [[int(i) for i in ids[mask]] for ids, mask in zip(token_ids, shown, strict=True)]
    # Some tokenizers cannot infer the rank of a batch of lists if one list is empty.
    return [tokenizer.detokenize(ids) if ids else "" for ids in kept]


def shown_ids(token_ids, padding_mask, special_ids):
    """Return ids as an array, and bool: True at text, which is neither padding nor special."""
    token_ids = ops.convert_to_numpy(token_ids)
    real = ops.convert_to_numpy(padding_mask).astype(bool)
    return token_ids, real & ~np.isin(token_ids, list(special_ids))


def cut_symbols(symbols, length: int, lowercase: bool):
    """Truncate the symbols of one text or of a batch; convert to lower case if asked for."""
    if symbols and isinstance(symbols[0], list):
        return [cut_symbols(row, length, lowercase) for row in symbols]
    return [symbol.lower() if lowercase else symbol for symbol in symbols[:length]]

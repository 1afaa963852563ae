"""The parts of a context at which an answer may begin and end, in Python and in a graph."""

import re
import unicodedata

from attnzoo.checks import check_choice
from attnzoo.whitespace import WHITE_SPACE, find_spans

SPAN_UNITS = ("words", "word_parts", "characters")

# Letters of scripts that have no blanks between words: Thai, Lao, Burmese, Khmer, kana and Chinese
# characters.
_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x323AF),
)
_WITHOUT_BLANKS_PYTHON = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _WITHOUT_BLANKS) + "]"
)


def check_span_unit(span_unit: str):
    """Raise if the unit is unknown."""
    check_choice(SPAN_UNITS, span_unit=span_unit)


def find_units(text: str, span_unit: str) -> list[tuple[int, int]]:
    """Return the first character of each unit of a text, and the one after its last.

    Args:
        text: The text.
        span_unit: `"words"`, what white space separates; `"word_parts"`, also what punctuation
            separates, each punctuation mark, and each character of a script that has no blanks
            between words; or `"characters"`, each character that is no white space.

    Example:
        >>> find_units("in 1998, ok", "word_parts")
        [(0, 2), (3, 7), (7, 8), (9, 11)]
    """
    if span_unit == "words":
        return find_spans(text)
    units: list[tuple[int, int]] = []
    joins = False  # Whether the next letter continues the last unit.
    for place, character in enumerate(text):
        if character in WHITE_SPACE:
            joins = False
            continue
        in_word = span_unit == "word_parts" and is_in_word(character)
        if in_word and joins:
            units[-1] = (units[-1][0], place + 1)
        else:
            units.append((place, place + 1))
        joins = in_word
    return units


def read_units(text: str, span_unit: str) -> list[str]:
    """Return the string to tokenize for each unit: a character has the white space after it."""
    units = find_units(text, span_unit)
    if span_unit != "characters":
        return [text[start:end] for start, end in units]
    starts = [start for start, _ in units]
    return [text[one:other] for one, other in zip(starts, [*starts[1:], None], strict=False)]


def find_units_in_graph(texts, span_unit: str):
    """Return the units of texts, a `tf.Tensor` of strings [B], in a graph.

    Returns:
        Three `tf.RaggedTensor`s [B, (U)]: the strings to tokenize, as from `read_units`; the
        positions of each unit's first character, int32; and of the character after its last, int32.
    """
    import tensorflow as tf

    characters = tf.strings.unicode_decode(texts, "UTF-8")  # [B, (characters)]
    codes = characters.flat_values
    blank = tf.reduce_any(codes[:, None] == [*map(ord, WHITE_SPACE)], axis=1)
    lengths = tf.cast(characters.row_lengths(), tf.int32)
    place = tf.ragged.range(lengths).flat_values
    joined = ~blank if span_unit == "words" else tf.zeros_like(blank)
    if span_unit == "word_parts":
        joined = ~blank & _is_in_word_in_graph(codes)
    before = tf.concat([[False], joined], axis=0)[:-1] & (place > 0)
    after = tf.concat([joined, [False]], axis=0)[1:] & (place < tf.repeat(lengths, lengths) - 1)

    def places_where(edge):
        edge = characters.with_flat_values(~blank & edge)
        return tf.ragged.boolean_mask(characters.with_flat_values(place), edge)

    starts = places_where(~(joined & before))
    ends = places_where(~(joined & after)) + 1
    whole = tf.repeat(texts, starts.row_lengths())
    stops = ends.flat_values
    if span_unit == "characters":
        counts = tf.cast(starts.row_lengths(), tf.int32)
        is_last = tf.ragged.range(counts).flat_values == tf.repeat(counts, counts) - 1
        following = tf.roll(starts.flat_values, -1, axis=0)
        stops = tf.where(is_last, tf.repeat(lengths, counts), following)
    size = stops - starts.flat_values
    units = tf.strings.substr(whole, starts.flat_values, size, unit="UTF8_CHAR")
    return starts.with_flat_values(units), starts, ends


def is_in_word(character: str) -> bool:
    """Return whether a character joins with its neighbours to a word."""
    kind = unicodedata.category(character)[0]
    return kind in "LMN" and not _WITHOUT_BLANKS_PYTHON.match(character)


def _is_in_word_in_graph(codes):
    import tensorflow as tf

    letters = tf.strings.unicode_encode(codes[:, None], "UTF-8")
    kind = tf.strings.regex_full_match(letters, r"[\pL\pM\pN]")
    apart = [(codes >= first) & (codes <= last) for first, last in _WITHOUT_BLANKS]
    return kind & ~tf.reduce_any(tf.stack(apart), axis=0)

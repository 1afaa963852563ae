"""Words between white space, in Python and in a graph, and the tokens of each."""

from attnzoo.data.tokenizers import SymbolTokenizer, in_graph
from attnzoo.models.preprocessing.packing import as_lists, as_ragged

# A tokenizer without a vocabulary: it knows what white space is, in Python and in a graph.
_SPLITTER = SymbolTokenizer(name="words")


def split_words(texts):
    """Split texts at white space.

    Args:
        texts: A list whose strings are split, and whose other items stay as they are; in a graph a
            tensor, of which a dense one of strings is split.

    Returns:
        A list of lists of strings; in a graph a `tf.RaggedTensor`.
    """
    if in_graph():
        import tensorflow as tf

        whole = not isinstance(texts, tf.RaggedTensor) and texts.dtype == tf.string
        return _SPLITTER.symbols(texts) if whole and texts.shape.rank < 2 else texts
    if isinstance(texts, (str, bytes)):
        return _SPLITTER.symbols(texts)
    return [split_words(one) if isinstance(one, (str, bytes)) else one for one in as_lists(texts)]


def tokenize_words(tokenizer, words):
    """In a graph, tokenize each word for itself.

    Args:
        tokenizer: A tokenizer.
        words: `tf.RaggedTensor` of strings [B, (W)].

    Returns:
        `tf.RaggedTensor`s [B, (S)] of the ids, and of 1 at the first token of each word, else 0;
        and how many tokens each word of all texts has.
    """
    import tensorflow as tf

    pieces = as_ragged(tokenizer(words.flat_values))  # [words of all texts, (P)]
    lengths = pieces.row_lengths()
    missing = tf.boolean_mask(words.flat_values, lengths == 0)
    message = "A word must have at least one token. Received:"
    with tf.control_dependencies([tf.debugging.Assert(tf.size(missing) == 0, [message, missing])]):
        ids = tf.identity(tf.cast(pieces.flat_values, tf.int32))
    splits = tf.gather(pieces.row_splits, words.row_splits)  # The texts', in tokens.
    ids = tf.RaggedTensor.from_row_splits(ids, splits)
    firsts = tf.cast(tf.ragged.range(lengths).flat_values == 0, tf.int32)
    return ids, ids.with_flat_values(firsts), lengths

"""The tokenizer of symbols between white space."""

import keras

from attnzoo.data.tokenizers.base import VocabularyTokenizer
from attnzoo.whitespace import split_words


@keras.saving.register_keras_serializable(package="attnzoo")
class SymbolTokenizer(VocabularyTokenizer):
    """Tokenizer with one id per symbol, where white space separates symbols: phonemes, tags, words.

    Ids 0 to 3 are `[PAD]`, `[UNK]`, `[START]` and `[END]`, also found as `pad_token_id`,
    `unk_token_id`, `start_token_id` and `end_token_id`. White space is ASCII's: a no-break space is
    part of a symbol. `detokenize` puts one space between symbols.

    Args:
        vocabulary: The four special tokens, then symbols, in the order of ids; or `None` if assets
            are loaded later.
        lowercase: Whether text is converted to lower case first.
        **kwargs: For `keras_hub.tokenizers.Tokenizer`; `config_file` names the file of this
            tokenizer in a preset.

    Call arguments:
        inputs: A string or strings; see `tokenize`.

    Returns:
        A list of int per string, of different lengths.

    Raises:
        ValueError: If `vocabulary` does not start with the special tokens, repeats a symbol, or
            holds a symbol that is empty or contains white space.

    Example:
        >>> tokenizer = attnzoo.data.SymbolTokenizer.from_texts(["HH AH L OW", "HH EH L P"])
        >>> tokenizer("HH OW L")
        [4, 8, 5]
        >>> tokenizer.detokenize([4, 8, 5, 3])
        'HH OW L'
    """

    separator = " "

    def _split(self, text):
        return split_words(text)

    def _split_tensors(self, texts):
        import tensorflow as tf

        return tf.strings.split(texts)

    def _check_symbol(self, symbol):
        if split_words(symbol) != [symbol]:
            raise ValueError(
                "`vocabulary` must hold symbols with at least one character and no white space. "
                f"Received: {symbol!r}"
            )

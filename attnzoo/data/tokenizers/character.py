"""The tokenizer of characters."""

import keras

from attnzoo.data.tokenizers.base import VocabularyTokenizer


@keras.saving.register_keras_serializable(package="attnzoo")
class CharacterTokenizer(VocabularyTokenizer):
    """Tokenizer with one id per character (Unicode code point).

    Ids 0 to 3 are `[PAD]`, `[UNK]`, `[START]` and `[END]`, also found as `pad_token_id`,
    `unk_token_id`, `start_token_id` and `end_token_id`. Spaces and newlines are characters like any
    other. Text is not normalized: é in two code points is two symbols.

    Args:
        vocabulary: The four special tokens, then characters, in the order of ids; or `None` if
            assets are loaded later.
        lowercase: Whether text is converted to lower case first.
        **kwargs: For `keras_hub.tokenizers.Tokenizer`; `config_file` names the file of this
            tokenizer in a preset.

    Call arguments:
        inputs: A string or strings; see `tokenize`.

    Returns:
        A list of int per string, of different lengths.

    Raises:
        ValueError: If `vocabulary` does not start with the special tokens, repeats a symbol, or
            holds a symbol that is not a single character.

    Example:
        >>> tokenizer = attnzoo.data.CharacterTokenizer.from_texts(["hello", "help"])
        >>> tokenizer(["hole", "hex"])
        [[6, 8, 4, 5], [6, 5, 1]]
        >>> tokenizer.detokenize([[2, 6, 5, 1, 3, 0]])
        ['he[UNK]']
    """

    def _split(self, text):
        return text

    def _split_tensors(self, texts):
        import tensorflow as tf

        return tf.strings.unicode_split(texts, "UTF-8")

    def _check_symbol(self, symbol):
        if len(symbol) != 1:
            raise ValueError(f"`vocabulary` must hold single characters. Received: {symbol!r}")

"""Preprocessor of `RNNSeq2SeqLM`."""

import keras

from attnzoo.models.preprocessing.seq2seq import Seq2SeqPreprocessor
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqLMPreprocessor(Seq2SeqPreprocessor):
    """Tokenizes, packs and pads the two sides of `RNNSeq2SeqLM`.

    Args, call arguments, returns and raises: as in `Seq2SeqPreprocessor`:
        source_tokenizer, tokenizer, encoder_sequence_length, decoder_sequence_length,
        pointer_generator, truncate.

    Example:
        >>> preprocessor = attnzoo.models.RNNSeq2SeqLMPreprocessor(
        ...     attnzoo.data.CharacterTokenizer.from_texts(["cat", "hat"]),
        ...     attnzoo.data.SymbolTokenizer.from_texts(["K AE T", "HH AE T"]))
        >>> x, y, sample_weight = preprocessor(["cat"], ["K AE T"])
    """

    backbone_cls = RNNSeq2SeqBackbone

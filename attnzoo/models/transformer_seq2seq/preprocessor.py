"""Preprocessor of `TransformerSeq2SeqLM`."""

import keras

from attnzoo.models.preprocessing.seq2seq import Seq2SeqPreprocessor
from attnzoo.models.transformer_seq2seq.backbone import TransformerSeq2SeqBackbone


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSeq2SeqLMPreprocessor(Seq2SeqPreprocessor):
    """Tokenizes, packs and pads the two sides of `TransformerSeq2SeqLM`.

    Args, call arguments, returns and raises: as in `Seq2SeqPreprocessor`:
        source_tokenizer, tokenizer, encoder_sequence_length, decoder_sequence_length,
        truncate.

    Example:
        >>> preprocessor = attnzoo.models.TransformerSeq2SeqLMPreprocessor(
        ...     attnzoo.data.train_subword_tokenizer(english, vocabulary_size=8000),
        ...     attnzoo.data.train_subword_tokenizer(german, vocabulary_size=8000))
    """

    backbone_cls = TransformerSeq2SeqBackbone

"""From raw strings to token ids and back, with a tokenizer for each side."""

import keras
import keras_hub
import numpy as np
from keras import ops

import attnzoo.data.tokenizers  # noqa: F401 - Registers what a preset may hold.
from attnzoo.layers.scores.base import check_positive
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone

# Sources are padded to a multiple of this, so that generation compiles for few lengths.
_LENGTH_STEP = 8


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqLMPreprocessor(keras_hub.models.Seq2SeqLMPreprocessor):
    """Tokenizes, packs and pads the two sides of `RNNSeq2SeqLM`.

    A source becomes `ids [END]`, a target `[START] ids [END]`. Longer ones are cut.

    Args:
        source_tokenizer: A `keras_hub.tokenizers.Tokenizer` for the source.
        tokenizer: Another, for the target. Each needs a start, an end and a padding token: as
            attributes `start_token_id`, `end_token_id`, `pad_token_id`, as ours have them, or as
            `"[START]"`, `"[END]"` and `"[PAD]"` in its vocabulary.
        encoder_sequence_length: Padded length S of a source, in tokens, with the end token.
        decoder_sequence_length: Padded length T of a target, in tokens, with the end token.

    Call arguments:
        x: Sources, a list of strings, with targets as `y`; or a dict of `"encoder_text"` and
            `"decoder_text"`.

    Returns:
        `(x, y, sample_weight)`: x a dict of `encoder_token_ids` int [B, S], `encoder_padding_mask`
        bool [B, S], `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T]; y int
        [B, T], the next tokens; sample_weight [B, T], 1 where y is no padding.

    Raises:
        ValueError: If a length is below 1, a tokenizer lacks a special token, or a source is empty.

    Example:
        >>> preprocessor = attnzoo.models.RNNSeq2SeqLMPreprocessor(
        ...     attnzoo.data.CharacterTokenizer.from_texts(["cat", "hat"]),
        ...     attnzoo.data.SymbolTokenizer.from_texts(["K AE T", "HH AE T"]))
        >>> x, y, sample_weight = preprocessor(["cat"], ["K AE T"])
    """

    backbone_cls = RNNSeq2SeqBackbone

    def __init__(
        self,
        source_tokenizer,
        tokenizer,
        *,
        encoder_sequence_length: int = 64,
        decoder_sequence_length: int = 64,
        **kwargs,
    ):
        check_positive(
            encoder_sequence_length=encoder_sequence_length,
            decoder_sequence_length=decoder_sequence_length,
        )
        super().__init__(
            tokenizer,
            encoder_sequence_length=encoder_sequence_length,
            decoder_sequence_length=decoder_sequence_length,
            **kwargs,
        )
        self.source_tokenizer = source_tokenizer
        # In a preset each tokenizer has its own file.
        self.source_tokenizer.config_file = "source_tokenizer.json"
        self.tokenizer.config_file = "tokenizer.json"

    def build(self, input_shape):
        # Only now: a tokenizer from a preset has no vocabulary before its assets are loaded.
        for tokenizer in (self.source_tokenizer, self.tokenizer):
            _find_special_tokens(tokenizer)
        self.encoder_packer = keras_hub.layers.StartEndPacker(
            end_value=self.source_tokenizer.end_token_id,
            pad_value=self.source_tokenizer.pad_token_id,
            sequence_length=self.encoder_sequence_length,
            return_padding_mask=True,
        )
        self.decoder_packer = keras_hub.layers.StartEndPacker(
            start_value=self.tokenizer.start_token_id,
            end_value=self.tokenizer.end_token_id,
            pad_value=self.tokenizer.pad_token_id,
            sequence_length=self.decoder_sequence_length,
            return_padding_mask=True,
        )
        self.built = True

    def call(
        self,
        x,
        y=None,
        sample_weight=None,
        *,
        encoder_sequence_length: int | None = None,
        decoder_sequence_length: int | None = None,
        sequence_length: int | None = None,
    ):
        if not self.built:
            self.build(None)
        source, target = (x["encoder_text"], x["decoder_text"]) if isinstance(x, dict) else (x, y)
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        token_ids, padding_mask = self.decoder_packer(
            self.tokenizer(target), sequence_length=length + 1
        )
        inputs = {
            **self._pack_source(source, encoder_sequence_length or self.encoder_sequence_length),
            "decoder_token_ids": token_ids[..., :-1],
            "decoder_padding_mask": padding_mask[..., 1:],  # Where there is a token to predict.
        }
        return keras.utils.pack_x_y_sample_weight(inputs, token_ids[..., 1:], padding_mask[..., 1:])

    def generate_preprocess(
        self,
        x,
        *,
        encoder_sequence_length: int | None = None,
        decoder_sequence_length: int | None = None,
        sequence_length: int | None = None,
    ):
        """Tokenize and pack for generation.

        Args:
            x: Sources, a string or a list of strings; or a dict of `"encoder_text"` and
                `"decoder_text"`, the beginnings to go on from.
            encoder_sequence_length: Padded length of the sources, in tokens; None fits them.
            decoder_sequence_length: Longest output, in tokens, with start and end token.
            sequence_length: The same, by another name.

        Returns:
            dict, as the `x` of a call, without end token in the target.
        """
        if not self.built:
            self.build(None)
        if isinstance(x, dict):
            source = x["encoder_text"]
            target = x.get("decoder_text", self._empty_decoder_text(source))
        else:
            source, target = x, self._empty_decoder_text(x)
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        token_ids, padding_mask = self.decoder_packer(
            self.tokenizer(target), sequence_length=length, add_end_value=False
        )
        return {
            **self._pack_source(source, encoder_sequence_length),
            "decoder_token_ids": token_ids,
            "decoder_padding_mask": padding_mask,
        }

    def generate_postprocess(self, x):
        """Make strings of generated ids: a list of them, or, for ids [B, N, T], a list of lists."""
        if not self.built:
            self.build(None)
        token_ids, padding_mask = x["decoder_token_ids"], x["decoder_padding_mask"]
        if _is_symbolic_tensorflow(token_ids):
            return self.tokenizer.detokenize(self._strip_in_graph(token_ids, padding_mask))
        token_ids = ops.convert_to_numpy(token_ids)
        padding_mask = ops.convert_to_numpy(padding_mask).astype(bool)
        if token_ids.ndim == 3:
            return [
                self.generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": mask})
                for ids, mask in zip(token_ids, padding_mask, strict=True)
            ]
        special = self._special_token_ids()
        kept = [
            [int(i) for i in ids[mask] if int(i) not in special]
            for ids, mask in zip(token_ids, padding_mask, strict=True)
        ]
        # An empty list in a batch of lists has no rank of its own for some tokenizers.
        return [self.tokenizer.detokenize(ids) if ids else "" for ids in kept]

    def check_vocabularies(self, backbone):
        """Raise if a tokenizer could give an id that `backbone` has no embedding for."""
        for side, tokenizer in (("source", self.source_tokenizer), ("target", self.tokenizer)):
            size = getattr(backbone, f"{side}_vocabulary_size")
            try:
                known = tokenizer.vocabulary_size()
            except ValueError:  # From a preset: its vocabulary is loaded later.
                continue
            if known > size:
                raise ValueError(
                    f"The backbone's `{side}_vocabulary_size` must be at least that of the "
                    f"{side} tokenizer, {known}. Received: {side}_vocabulary_size={size}"
                )

    def tokens(self, text: str, side: str = "target") -> list[str]:
        """The tokens of one text as strings, cut like a batch and with its end token, for labels.

        Args:
            text: A source or a target.
            side: `"source"` or `"target"`.

        Raises:
            ValueError: If `side` is neither.
        """
        if side not in ("source", "target"):
            raise ValueError(f'`side` must be "source" or "target". Received: side={side!r}')
        if not self.built:
            self.build(None)
        if side == "source":
            tokenizer, length = self.source_tokenizer, self.encoder_sequence_length
        else:
            tokenizer, length = self.tokenizer, self.decoder_sequence_length
        ids = np.asarray(_as_lists(tokenizer([text]))[0]).astype(int).tolist()
        return [tokenizer.id_to_token(i) for i in [*ids[: length - 1], tokenizer.end_token_id]]

    def _pack_source(self, source, length):
        _refuse_empty(source)
        ids = self.source_tokenizer(source)
        if length is None:
            length = self.encoder_sequence_length
            if not _is_symbolic_tensorflow(source):
                lists = _as_lists(ids)
                nested = lists if lists and np.ndim(lists[0]) else [lists]
                longest = 1 + max(len(one) for one in nested)
                length = min(length, -(-longest // _LENGTH_STEP) * _LENGTH_STEP)
        token_ids, padding_mask = self.encoder_packer(ids, sequence_length=length)
        return {"encoder_token_ids": token_ids, "encoder_padding_mask": padding_mask}

    def _special_token_ids(self):
        tokenizer = self.tokenizer
        return {tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id}

    def _strip_in_graph(self, token_ids, padding_mask):
        import tensorflow as tf

        kept = tf.cast(padding_mask, tf.bool)
        for special in self._special_token_ids():
            kept = tf.logical_and(kept, tf.not_equal(token_ids, special))
        return tf.ragged.boolean_mask(token_ids, kept)

    def get_config(self):
        return {
            **super().get_config(),
            "source_tokenizer": keras.saving.serialize_keras_object(self.source_tokenizer),
            "encoder_sequence_length": self.encoder_sequence_length,
            "decoder_sequence_length": self.decoder_sequence_length,
        }

    @classmethod
    def from_config(cls, config):
        revive = keras.saving.deserialize_keras_object
        names = ("source_tokenizer", "tokenizer")
        return cls(**{**config, **{name: revive(config[name]) for name in names}})


_SPELLINGS = {
    "start_token_id": ("[START]", "[BOS]", "<s>", "[CLS]"),
    "end_token_id": ("[END]", "[EOS]", "</s>", "[SEP]"),
    "pad_token_id": ("[PAD]", "<pad>"),
}


def _find_special_tokens(tokenizer):
    """See that a tokenizer has its special ids as attributes; any KerasHub tokenizer will do."""
    for attribute, spellings in _SPELLINGS.items():
        if getattr(tokenizer, attribute, None) is not None:
            continue
        vocabulary = set(tokenizer.get_vocabulary())
        found = [token for token in spellings if token in vocabulary]
        if not found:
            raise ValueError(
                f"A tokenizer needs the attribute `{attribute}` or one of {spellings} in its "
                f"vocabulary. Received: tokenizer={tokenizer!r}"
            )
        setattr(tokenizer, attribute, tokenizer.token_to_id(found[0]))


def _refuse_empty(source):
    """Raise on an empty source, where the strings can be seen."""
    if _is_symbolic_tensorflow(source):
        return
    texts = np.atleast_1d(np.asarray(_as_lists(source), dtype=object)).ravel()
    for position, text in enumerate(texts):
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        if not str(text).strip():
            raise ValueError(
                f"A source must have at least one symbol. Received: {text!r} at position {position}"
            )


def _is_symbolic_tensorflow(value) -> bool:
    """Whether `value` is a TensorFlow tensor inside a traced function."""
    return type(value).__module__.startswith("tensorflow") and not hasattr(value, "numpy")


def _as_lists(value):
    """Tensors, ragged or dense, and arrays as Python lists."""
    if hasattr(value, "to_list"):
        return value.to_list()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.tolist() if hasattr(value, "tolist") else value

"""Preprocessor from raw strings to token ids and back, for a source and a target side."""

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.data.copying import copy_ids, extend_ids, spell_ids
from attnzoo.data.tokenizers import CharacterTokenizer, SymbolTokenizer
from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.input_checks import as_texts
from attnzoo.models.preprocessing.packing import check_table, fit_length
from attnzoo.models.preprocessing.targets import TargetPreprocessor

# The tokenizers that a pointer-generator supports.
SYMBOL_TOKENIZERS = (CharacterTokenizer, SymbolTokenizer)
SOURCE_FILE = "source_tokenizer.json"  # The source's tokenizer in a preset.


class Seq2SeqPreprocessor(TargetPreprocessor):
    """Tokenizes, packs and pads the two sides of a sequence-to-sequence task.

    Each family has a subclass, which sets `backbone_cls`.

    A source becomes `ids [END]`, a target `[START] ids [END]`. The preprocessor works on Python
    strings, and in the graph of a `tf.data` pipeline.

    Args:
        source_tokenizer: A `keras_hub.tokenizers.Tokenizer` for the source.
        tokenizer: Another tokenizer, or the same, for the target. Each needs a start, an end and a
            padding token: as attributes `start_token_id`, `end_token_id`, `pad_token_id`, as in the
            tokenizers of attnzoo, or as `"[START]"`, `"[END]"` and `"[PAD]"` in its vocabulary.
        encoder_sequence_length: Padded length S of a source, in tokens, with the end token.
        decoder_sequence_length: Padded length T of a target, in tokens, with the end token.
        pointer_generator: Whether the backbone has `pointer_generator=True`. Ids from V on are then
            symbols of the source (see `attnzoo.layers.PointerGenerator`), and both tokenizers must
            be tokenizers of attnzoo, which return symbols as strings.
        truncate: Treatment of a longer source, target or prompt of generation: `"warn"` truncates
            it and warns, once for each side; `"silent"` truncates it; `"error"` raises. A graph
            that will be saved needs `"silent"` or `"error"`: a warning needs Python. SavedModels
            from `attnzoo.export.saved_model` always truncate.

    Call arguments:
        x: Sources, a list of strings, with targets as `y`; or a dict of `"encoder_text"` and
            `"decoder_text"`.
        sample_weight: Weights of the pairs, [B], or None.

    Returns:
        `(x, y, sample_weight)`: x a dict of `encoder_token_ids` int [B, S], `encoder_padding_mask`
        bool [B, S], `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T]; y int
        [B, T], the next tokens; sample_weight [B, T], 0 where y is padding, else 1 or the pair's
        own. With a pointer-generator x has `copy_token_ids` int [B, S] too.

    Raises:
        ValueError: If a length is below 1, `truncate` is unknown, a tokenizer lacks a special
            token, a source is empty, or a text is too long and `truncate="error"` (in a graph this
            is TensorFlow's error); with a pointer-generator, if a tokenizer is not one of attnzoo.
    """

    source_key = "encoder_text"

    def __init__(
        self,
        source_tokenizer: keras_hub.tokenizers.Tokenizer,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        encoder_sequence_length: int = 64,
        decoder_sequence_length: int = 64,
        pointer_generator: bool = False,
        truncate: str = "warn",
        **kwargs,
    ):
        check_positive(encoder_sequence_length=encoder_sequence_length)
        super().__init__(
            tokenizer,
            encoder_sequence_length=encoder_sequence_length,
            decoder_sequence_length=decoder_sequence_length,
            truncate=truncate,
            **kwargs,
        )
        self.pointer_generator = pointer_generator
        for name, one in (("source_tokenizer", source_tokenizer), ("tokenizer", tokenizer)):
            if pointer_generator and not isinstance(one, SYMBOL_TOKENIZERS):
                raise ValueError(
                    "A pointer-generator copies symbols, and only these tokenizers know them: "
                    f"`{name}` must be a `CharacterTokenizer` or a `SymbolTokenizer` of "
                    f"`attnzoo.data`. Received: {name}={one!r}"
                )
        self.source_tokenizer = source_tokenizer
        # Needed to find the vocabulary while a preset is loaded.
        self.source_tokenizer.config_file = SOURCE_FILE

    @property
    def tokenizers(self) -> list:
        """The tokenizers of source and target."""
        return [self.source_tokenizer, self.tokenizer]

    def generate_postprocess(self, x):
        """Return the strings of generated ids, as in `TargetPreprocessor`."""
        if not self.pointer_generator:
            return super().generate_postprocess(x)
        if not self.built:
            self.build(None)
        return self._spell(x["decoder_token_ids"], x["decoder_padding_mask"], x.get("encoder_text"))

    def check_backbone(self, backbone):
        """Raise if a side may be too long for the backbone's positions, or have unknown ids.

        With a pointer-generator backbone and preprocessor must agree on V, the first id of symbols
        of the source. If the backbone has one embedding, both tokenizers must have the same
        vocabulary.
        """
        check_table(
            backbone,
            encoder_sequence_length=self.encoder_sequence_length,
            decoder_sequence_length=self.decoder_sequence_length,
        )
        points = getattr(backbone, "pointer_generator", False)
        if self.pointer_generator != points:
            raise ValueError(
                "Backbone and preprocessor must both have a pointer-generator, or neither. "
                f"Received: pointer_generator={points} in the backbone, "
                f"pointer_generator={self.pointer_generator} in the preprocessor"
            )
        for side, tokenizer in (("source", self.source_tokenizer), ("target", self.tokenizer)):
            size = getattr(backbone, f"{side}_vocabulary_size")
            try:
                known = tokenizer.vocabulary_size()
            except ValueError:  # A preset's vocabulary is loaded later.
                continue
            if side == "target" and self.pointer_generator and known < size:
                raise ValueError(
                    "With a pointer-generator the backbone's `target_vocabulary_size` must be that "
                    f"of the target tokenizer, {known}. Received: target_vocabulary_size={size}"
                )
            if known > size:
                raise ValueError(
                    f"The backbone's `{side}_vocabulary_size` must be at least that of the "
                    f"{side} tokenizer, {known}. Received: {side}_vocabulary_size={size}"
                )
        if getattr(backbone, "share_embeddings", False):
            self._check_shared()

    def _check_shared(self):
        if self.source_tokenizer is self.tokenizer:
            return
        try:
            both = [one.get_vocabulary() for one in (self.source_tokenizer, self.tokenizer)]
        except ValueError:  # From a preset, as above.
            return
        if both[0] != both[1]:
            raise ValueError(
                "Where source and target share an embedding, one tokenizer is for both: give it "
                "as both. Received: two of different vocabularies with share_embeddings=True"
            )

    def check_pairs(self, sources, targets):
        """Raise if a source is empty, or a text is too long with `truncate="error"`.

        A call checks this too, but in a graph only later, and with TensorFlow's error.
        """
        sources = as_texts(sources, "source")
        if self.truncate == "error":
            ids = eager.tokenize(self.source_tokenizer, sources)
            self._apply_truncation(ids, self.encoder_sequence_length, "source")
        super().check_pairs(sources, targets)

    def tokens(self, text: str, side: str = "target") -> list[str]:
        """Return the tokens of one text as strings, truncated and with the end token, for labels.

        An unknown token is `[UNK]`; with a pointer-generator, which can copy it, it is its symbol.

        Args:
            text: A source or a target.
            side: `"source"` or `"target"`.

        Raises:
            ValueError: If `side` is neither of these.
        """
        if side not in ("source", "target"):
            raise ValueError(f'`side` must be "source" or "target". Received: side={side!r}')
        if not self.built:
            self.build(None)
        if side == "source":
            tokenizer, length = self.source_tokenizer, self.encoder_sequence_length
        else:
            tokenizer, length = self.tokenizer, self.decoder_sequence_length
        if self.pointer_generator:
            return [*tokenizer.symbols(text)[: length - 1], tokenizer.end_token]
        return self._tokens(tokenizer, text, length)

    def source_symbols(self, source, length: int | None = None):
        """Return the symbols of sources that a pointer-generator can copy, as in the target.

        Args:
            source: A string or strings.
            length: Padded length of the sources, in tokens, with the end token; None is the largest
                allowed length.

        Returns:
            Lists of strings, without the end token; inside a `tf.function` a tensor.
        """
        kept = (length or self.encoder_sequence_length) - 1
        symbols = self.source_tokenizer.symbols(source)
        return form().cut_symbols(symbols, kept, self.tokenizer.lowercase)

    def read_sources(self, x):
        """Return whether sources are a single string, and the sources as a batch, checked."""
        used = form()
        is_one, sources = used.as_batch(x)
        return is_one, used.check_texts(sources, "source")

    def read_samples(self, x) -> np.ndarray:
        """Return sources as an array of strings [B]; raise if they are invalid."""
        return np.asarray(as_texts(x, "source"), dtype=object)

    def pack_sources(self, sources, length: int | None = None) -> dict:
        """Return packed sources: the encoder's part of the dict that a call returns.

        Args:
            sources: A list of strings; in a graph a tensor [B].
            length: Padded length, in tokens; None is one of a few lengths that holds the sources,
                and in a graph the largest allowed length.
        """
        used = form()
        limit = length or self.encoder_sequence_length
        ids = used.tokenize(self.source_tokenizer, sources)
        ids = self._apply_truncation(ids, limit, "source")
        if length is None and used is eager:
            limit = used.padded_length(1 + used.count_tokens(ids), limit)
        end, padding = self.source_tokenizer.end_token_id, self.source_tokenizer.pad_token_id
        token_ids, padding_mask = used.pack_rows(ids, limit, end=end, padding=padding)
        packed = {"encoder_token_ids": token_ids, "encoder_padding_mask": padding_mask}
        if self.pointer_generator:
            copies = copy_ids(self.source_symbols(sources, limit), self.tokenizer)
            # Copies are target tokens: the end token of the source is copied as the target's.
            end, padding = self.tokenizer.end_token_id, self.tokenizer.pad_token_id
            packed["copy_token_ids"], _ = used.pack_rows(copies, limit, end=end, padding=padding)
        return packed

    def count_places(self, packed: dict) -> int:
        """Return the length of the longest source, in tokens."""
        return int(packed["encoder_padding_mask"].sum(axis=1).max())

    def trim_sources(self, packed: dict) -> dict:
        """Return packed sources without superfluous padding, in one of a few lengths."""
        places = fit_length(self.count_places(packed), self.encoder_sequence_length)
        return {name: value[:, :places] for name, value in packed.items()}

    def _tokenize_targets(self, targets, sources, source_length):
        """Return unpacked ids of targets; with a pointer-generator they may be source symbols."""
        if not self.pointer_generator:
            return super()._tokenize_targets(targets, sources, source_length)
        symbols = self.source_symbols(sources, source_length)
        return extend_ids(self.tokenizer.symbols(targets), symbols, self.tokenizer)

    def _spell(self, token_ids, padding_mask, source):
        """Return the text of ids that may be symbols of the source."""
        if source is None:
            raise ValueError(
                "To make text of what a pointer-generator says, `x` must have the sources, as "
                "`encoder_text`. Received: encoder_text=None"
            )
        special, symbols = self._special_token_ids(), self.source_symbols(source)
        ids, shown = form().shown_ids(token_ids, padding_mask, special)
        if len(ids.shape) == 2:
            return spell_ids(ids, shown, symbols, self.tokenizer)
        return [
            spell_ids(one, real, [row] * len(one), self.tokenizer)
            for one, real, row in zip(ids, shown, symbols, strict=True)
        ]

    def save_to_preset(self, preset_dir):
        """Write the tokenizers, each with its own files, and the config."""
        self.source_tokenizer.config_file = SOURCE_FILE
        self.source_tokenizer.save_to_preset(preset_dir)
        super().save_to_preset(preset_dir)

    def get_config(self):
        return {
            **super().get_config(),
            "source_tokenizer": keras.saving.serialize_keras_object(self.source_tokenizer),
            "encoder_sequence_length": self.encoder_sequence_length,
            "pointer_generator": self.pointer_generator,
        }

    @classmethod
    def from_config(cls, config):
        revive = keras.saving.deserialize_keras_object
        names = ("source_tokenizer", "tokenizer")
        return cls(**{**config, **{name: revive(config[name]) for name in names}})

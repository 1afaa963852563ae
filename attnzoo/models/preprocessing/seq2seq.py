"""Preprocessor from raw strings to token ids and back, for a source and a target side."""

import os

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.data.copying import copy_ids, extend_ids, spell_ids
from attnzoo.data.tokenizers import CharacterTokenizer, SymbolTokenizer
from attnzoo.models.parts.presets import BuiltInPresets, explain_preset_errors
from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.input_checks import as_texts, need_as_many
from attnzoo.models.preprocessing.packing import (
    BUILDING,
    as_lists,
    check_table,
    find_special_tokens,
)
from attnzoo.models.preprocessing.truncation import Truncation, check_truncate

# The tokenizers that a pointer-generator supports.
SYMBOL_TOKENIZERS = (CharacterTokenizer, SymbolTokenizer)
# The files of the tokenizers in a preset.
SOURCE_FILE, TARGET_FILE = "source_tokenizer.json", "tokenizer.json"


class Seq2SeqPreprocessor(keras_hub.models.Seq2SeqLMPreprocessor):
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

    presets = BuiltInPresets()
    packing_arguments = ()  # Nothing is taken from another task's preset.
    built: bool  # As in every layer.

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
        check_truncate(truncate)
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
        self.pointer_generator = pointer_generator
        self.truncate = truncate
        self._truncation = Truncation()
        for name, one in (("source_tokenizer", source_tokenizer), ("tokenizer", tokenizer)):
            if pointer_generator and not isinstance(one, SYMBOL_TOKENIZERS):
                raise ValueError(
                    "A pointer-generator copies symbols, and only these tokenizers know them: "
                    f"`{name}` must be a `CharacterTokenizer` or a `SymbolTokenizer` of "
                    f"`attnzoo.data`. Received: {name}={one!r}"
                )
        self.source_tokenizer = source_tokenizer
        # Needed to find the vocabularies while a preset is loaded.
        self.source_tokenizer.config_file = SOURCE_FILE
        self.tokenizer.config_file = TARGET_FILE

    def build(self, input_shape):
        # Not in `__init__`: a tokenizer from a preset has no vocabulary before its assets are
        # loaded.
        with BUILDING:
            if not self.built:
                for tokenizer in (self.source_tokenizer, self.tokenizer):
                    find_special_tokens(tokenizer)
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
        source, target = x, y
        if isinstance(x, dict):
            source, target = (x.get(side) for side in ("encoder_text", "decoder_text"))
        if target is None:
            raise ValueError(
                "Training and `predict` need known targets: `y`, or `decoder_text` "
                "beside `encoder_text`; `generate` makes them. Received: no targets"
            )
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        is_one, packed, ids = self._pack_source(
            source, target, encoder_sequence_length or self.encoder_sequence_length, length
        )
        token_ids, padding_mask = form().pack_rows(ids, length + 1, **self._special(ends=True))
        inputs = {
            **packed,
            "decoder_token_ids": token_ids[:, :-1],
            "decoder_padding_mask": padding_mask[:, 1:],  # True if there is a next token.
        }
        y, weight = token_ids[:, 1:], padding_mask[:, 1:]
        if is_one:
            inputs, y, weight = keras.tree.map_structure(lambda rows: rows[0], (inputs, y, weight))
        if sample_weight is not None:
            weight = form().weigh(weight, sample_weight)
        return keras.utils.pack_x_y_sample_weight(inputs, y, weight)

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
                `"decoder_text"`, the prompts to continue.
            encoder_sequence_length: Padded length of the sources, in tokens; None depends on the
                sources.
            decoder_sequence_length: Longest output, in tokens, with start and end token.
            sequence_length: Another name of `decoder_sequence_length`.

        Returns:
            dict, like the `x` of a call, without end token in the target.

        Raises:
            ValueError: As in a call, or if the numbers of prompts and sources differ.
        """
        if not self.built:
            self.build(None)
        source, target = x, None
        if isinstance(x, dict):
            source, target = (x.get(side) for side in ("encoder_text", "decoder_text"))
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        is_one, packed, ids = self._pack_source(source, target, encoder_sequence_length, length)
        token_ids, padding_mask = form().pack_rows(ids, length, **self._special(ends=False))
        packed = {**packed, "decoder_token_ids": token_ids, "decoder_padding_mask": padding_mask}
        return {name: rows[0] for name, rows in packed.items()} if is_one else packed

    def generate_postprocess(self, x):
        """Return the strings of generated ids.

        Args:
            x: dict of `decoder_token_ids` int [B, T] or [B, N, T], and `decoder_padding_mask` bool
                of the same shape; with a pointer-generator also `encoder_text`, the B sources.

        Returns:
            A list of strings, or, for ids [B, N, T], a list of lists.

        Raises:
            ValueError: If a pointer-generator's sources are missing.
        """
        if not self.built:
            self.build(None)
        token_ids, padding_mask = x["decoder_token_ids"], x["decoder_padding_mask"]
        if self.pointer_generator:
            return self._spell(token_ids, padding_mask, x.get("encoder_text"))
        used = form()
        ids, shown = used.shown_ids(token_ids, padding_mask, self._special_token_ids())
        if len(ids.shape) == 2:
            return used.detokenize(self.tokenizer, ids, shown)
        return [used.detokenize(self.tokenizer, *row) for row in zip(ids, shown, strict=True)]

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

    def check_texts(self, sources, targets):
        """Raise if a source is empty, or a text is too long with `truncate="error"`.

        A call checks this too, but in a graph only later, and with TensorFlow's error.
        """
        sources = as_texts(sources, "source")
        targets = as_texts(targets, "target", may_be_blank=True)
        if self.truncate != "error":
            return
        for kind, tokenizer, texts, length in (
            ("source", self.source_tokenizer, sources, self.encoder_sequence_length),
            ("target", self.tokenizer, targets, self.decoder_sequence_length),
        ):
            self._apply_truncation(eager.tokenize(tokenizer, texts), length, kind)

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
        ids = np.asarray(as_lists(tokenizer([text]))[0]).astype(int).tolist()
        return [tokenizer.id_to_token(i) for i in [*ids[: length - 1], tokenizer.end_token_id]]

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

    def pack_sources(self, sources, length: int | None = None) -> dict:
        """Return packed sources: the encoder's part of the dict that a call returns.

        Args:
            sources: A list of strings; in a graph a tensor [B].
            length: Padded length, in tokens; None is one of a few lengths that holds the sources,
                and in a graph the largest allowed length.
        """
        return self._pack_sources(sources, length)[0]

    def _pack_source(self, source, target, source_length, target_limit):
        """Return whether `source` is one text, the packed sources, and the unpacked target ids.

        Without a target there are no target ids.
        """
        used = form()
        is_one, source = used.as_batch(source)
        source = used.check_texts(source, "source")
        packed, symbols = self._pack_sources(source, source_length)
        return is_one, packed, self._target_ids(source, target, symbols, target_limit)

    def _pack_sources(self, sources, length):
        """Return packed sources, and the symbols that a pointer-generator may copy, or None."""
        used = form()
        limit = length or self.encoder_sequence_length
        ids = used.tokenize(self.source_tokenizer, sources)
        ids = self._apply_truncation(ids, limit, "source")
        if length is None and used is eager:
            limit = used.padded_length(1 + used.count_tokens(ids), limit)
        end, padding = self.source_tokenizer.end_token_id, self.source_tokenizer.pad_token_id
        token_ids, padding_mask = used.pack_rows(ids, limit, end=end, padding=padding)
        packed = {"encoder_token_ids": token_ids, "encoder_padding_mask": padding_mask}
        if not self.pointer_generator:
            return packed, None
        symbols = self.source_symbols(sources, limit)
        # Copies are target tokens: the end token of the source is copied as the target's end token.
        end, padding = self.tokenizer.end_token_id, self.tokenizer.pad_token_id
        copies = copy_ids(symbols, self.tokenizer)
        packed["copy_token_ids"], _ = used.pack_rows(copies, limit, end=end, padding=padding)
        return packed, symbols

    def _target_ids(self, source, target, source_symbols, limit):
        """Return unpacked ids of targets; with a pointer-generator they may be source symbols."""
        if target is None:
            target = self._empty_decoder_text(source)
        used = form()
        _, target = used.as_batch(target)
        target = used.check_texts(target, "target", may_be_blank=True)
        if used is eager:
            need_as_many(sources=source, targets=target)
        if self.pointer_generator:
            ids = extend_ids(self.tokenizer.symbols(target), source_symbols, self.tokenizer)
        else:
            ids = used.tokenize(self.tokenizer, target)
        return self._apply_truncation(ids, limit, "target")

    def _special(self, ends: bool) -> dict:
        """Return the target's special tokens for `pack_rows`; a prompt has no end token."""
        tokenizer = self.tokenizer
        end = {"end": tokenizer.end_token_id} if ends else {}
        return {"start": tokenizer.start_token_id, "padding": tokenizer.pad_token_id, **end}

    def _apply_truncation(self, ids, limit, kind):
        """Return the ids unchanged; warn about texts that are too long, or raise."""
        used = form()
        lengths = used.count_tokens(ids) + 1
        return used.apply_truncation(ids, lengths, limit, self.truncate, self._truncation, kind)

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

    def _special_token_ids(self):
        tokenizer = self.tokenizer
        return {tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id}

    def save_to_preset(self, preset_dir):
        """Write the tokenizers, each with its own files, and the config."""
        for tokenizer, file in (
            (self.source_tokenizer, SOURCE_FILE),
            (self.tokenizer, TARGET_FILE),
        ):
            # Named here: one tokenizer may serve both sides, or the other side in another
            # preprocessor.
            tokenizer.config_file = file
            tokenizer.save_to_preset(preset_dir)
        super().save_to_preset(preset_dir)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **kwargs):
        """Load a preprocessor from a preset; `preset` is as in a task's `from_preset`."""
        with explain_preset_errors(preset, cls, kwargs) as place:
            return super().from_preset(place, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "source_tokenizer": keras.saving.serialize_keras_object(self.source_tokenizer),
            "encoder_sequence_length": self.encoder_sequence_length,
            "decoder_sequence_length": self.decoder_sequence_length,
            "pointer_generator": self.pointer_generator,
            "truncate": self.truncate,
        }

    @classmethod
    def from_config(cls, config):
        revive = keras.saving.deserialize_keras_object
        names = ("source_tokenizer", "tokenizer")
        return cls(**{**config, **{name: revive(config[name]) for name in names}})

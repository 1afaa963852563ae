"""From raw strings to token ids of two sides and back, with a tokenizer for each."""

import os

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.data.copying import copy_ids, extend_ids, spell_ids
from attnzoo.data.tokenizers import CharacterTokenizer, SymbolTokenizer
from attnzoo.models.parts.presets import explain_preset_errors
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

# A pointer-generator goes with these alone.
SYMBOL_TOKENIZERS = (CharacterTokenizer, SymbolTokenizer)
# What a preset keeps each tokenizer in.
SOURCE_FILE, TARGET_FILE = "source_tokenizer.json", "tokenizer.json"


class Seq2SeqPreprocessor(keras_hub.models.Seq2SeqLMPreprocessor):
    """Tokenizes, packs and pads the two sides of a sequence-to-sequence task.

    Each family has a subclass of its own, which names its `backbone_cls`.

    A source becomes `ids [END]`, a target `[START] ids [END]`. It works on Python strings, and in
    the graph of a `tf.data` pipeline.

    Args:
        source_tokenizer: A `keras_hub.tokenizers.Tokenizer` for the source.
        tokenizer: Another, or the same, for the target. Each needs a start, an end and a padding
            token: as attributes `start_token_id`, `end_token_id`, `pad_token_id`, as ours have
            them, or as `"[START]"`, `"[END]"` and `"[PAD]"` in its vocabulary.
        encoder_sequence_length: Padded length S of a source, in tokens, with the end token.
        decoder_sequence_length: Padded length T of a target, in tokens, with the end token.
        pointer_generator: Whether it is for a backbone with `pointer_generator=True`: then ids from
            V on are symbols of the source (see `attnzoo.layers.PointerGenerator`), and both
            tokenizers must be ours, which know symbols as strings.
        truncate: What happens to a longer source or target, also to a beginning that generation
            goes on from: `"warn"` cuts it and warns, once for each side; `"silent"` cuts it;
            `"error"` raises. A graph that is to be saved needs one of the last two: a warning is
            Python's. What `attnzoo.export.saved_model` writes always cuts.

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
            token, a source is empty, or a text is too long and `truncate="error"` (in a graph it is
            TensorFlow's error); with a pointer-generator, if a tokenizer is not ours.
    """

    packing_arguments = ()  # A preset of another task has none of these.
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
        # Where a preset that is being loaded has the vocabularies.
        self.source_tokenizer.config_file = SOURCE_FILE
        self.tokenizer.config_file = TARGET_FILE

    def build(self, input_shape):
        # Only now: a tokenizer from a preset has no vocabulary before its assets are loaded.
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
                "Training and `predict` go by targets that are known: `y`, or `decoder_text` "
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
            "decoder_padding_mask": padding_mask[:, 1:],  # Where there is a token to predict.
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
                `"decoder_text"`, the beginnings to go on from.
            encoder_sequence_length: Padded length of the sources, in tokens; None fits them.
            decoder_sequence_length: Longest output, in tokens, with start and end token.
            sequence_length: The same, by another name.

        Returns:
            dict, as the `x` of a call, without end token in the target.

        Raises:
            ValueError: As in a call, or if there are not as many beginnings as sources.
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
        """Make strings of generated ids.

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
        """Raise if a side could be longer than `backbone` has positions, or have unknown ids.

        With a pointer-generator they must agree on V, from where on ids are symbols of the source;
        where the backbone has one embedding, tokenizers must agree on what each id means.
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
            except ValueError:  # From a preset: its vocabulary is loaded later.
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
        """Raise on empty sources, and on texts that are too long where `truncate="error"`.

        A call would find them too, but a graph only later, and with TensorFlow's error.
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
        """The tokens of one text as strings, cut like a batch and with its end token, for labels.

        Unknown ones are shown as such, but for a pointer-generator: what it copies has a name.

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
        if self.pointer_generator:
            return [*tokenizer.symbols(text)[: length - 1], tokenizer.end_token]
        ids = np.asarray(as_lists(tokenizer([text]))[0]).astype(int).tolist()
        return [tokenizer.id_to_token(i) for i in [*ids[: length - 1], tokenizer.end_token_id]]

    def source_symbols(self, source, length: int | None = None):
        """The symbols of sources that a pointer-generator can copy, as the target would write them.

        Args:
            source: A string or strings.
            length: Padded length of the sources, in tokens, with the end token; None is the
                longest.

        Returns:
            Lists of strings, without the end token; inside a `tf.function` a tensor.
        """
        kept = (length or self.encoder_sequence_length) - 1
        symbols = self.source_tokenizer.symbols(source)
        return form().cut_symbols(symbols, kept, self.tokenizer.lowercase)

    def pack_sources(self, sources, length: int | None = None) -> dict:
        """Return sources alone, packed: the encoder's part of what a call returns.

        Args:
            sources: A list of strings; in a graph a tensor [B].
            length: Padded length, in tokens; without, one of few lengths that holds them, and in a
                graph the longest that there may be.
        """
        return self._pack_sources(sources, length)[0]

    def _pack_source(self, source, target, source_length, target_limit):
        """Whether it is one text; the sources, packed; and the ids of their targets, unpacked.

        Without a target nothing is said yet.
        """
        used = form()
        is_one, source = used.as_batch(source)
        source = used.check_texts(source, "source")
        packed, symbols = self._pack_sources(source, source_length)
        return is_one, packed, self._target_ids(source, target, symbols, target_limit)

    def _pack_sources(self, sources, length):
        """`pack_sources`, and the symbols that a pointer-generator may copy, or None."""
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
        # What copying says is the target's affair: the end of the source is the target's end.
        end, padding = self.tokenizer.end_token_id, self.tokenizer.pad_token_id
        copies = copy_ids(symbols, self.tokenizer)
        packed["copy_token_ids"], _ = used.pack_rows(copies, limit, end=end, padding=padding)
        return packed, symbols

    def _target_ids(self, source, target, source_symbols, limit):
        """Ids of targets, unpacked; with a pointer-generator they may say the source's symbols."""
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
        """The target's special tokens, as `pack_rows` takes them; a beginning has no end."""
        tokenizer = self.tokenizer
        end = {"end": tokenizer.end_token_id} if ends else {}
        return {"start": tokenizer.start_token_id, "padding": tokenizer.pad_token_id, **end}

    def _apply_truncation(self, ids, limit, kind):
        """Return the same ids, after a warning of those that are too long, or an error."""
        used = form()
        lengths = used.count_tokens(ids) + 1
        return used.apply_truncation(ids, lengths, limit, self.truncate, self._truncation, kind)

    def _spell(self, token_ids, padding_mask, source):
        """The text of ids that may be the source's symbols."""
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
        """Write the tokenizers, each with files of its own, and the config."""
        for tokenizer, file in (
            (self.source_tokenizer, SOURCE_FILE),
            (self.tokenizer, TARGET_FILE),
        ):
            # Named only now: one object may be both, or be on the other side elsewhere.
            tokenizer.config_file = file
            tokenizer.save_to_preset(preset_dir)
        super().save_to_preset(preset_dir)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **kwargs):
        """Load a preprocessor from a preset; `preset` is what a task's `from_preset` takes."""
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

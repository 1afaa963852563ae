"""Base of the preprocessors of tasks that generate text: the targets, whatever the sources."""

import os

import keras
import keras_hub
import numpy as np

from attnzoo.checks import check_positive
from attnzoo.models.parts.presets import BuiltInPresets, explain_preset_errors
from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.input_checks import as_texts, need_as_many
from attnzoo.models.preprocessing.packing import BUILDING, as_lists, find_special_tokens
from attnzoo.models.preprocessing.truncation import Truncation, check_truncate

TARGET_FILE = "tokenizer.json"  # The target's tokenizer in a preset.


class TargetPreprocessor(keras_hub.models.Seq2SeqLMPreprocessor):
    """Base of the preprocessors of tasks that generate text from a source of any kind.

    This class tokenizes, packs and pads the targets, and turns generated ids into strings. The
    sources are the subclass's: it names them in `source_key`, and defines

    - `read_sources(x)`, which checks sources in the form of a user;
    - `pack_sources(sources, length)`, which gives the model's inputs for them;
    - `count_places(packed)` and `trim_sources(packed)`, if sources differ in length.

    Args:
        tokenizer: The tokenizer of the targets, as in `Seq2SeqPreprocessor`.
        decoder_sequence_length: Padded length T of a target, in tokens, with the end token.
        truncate: Treatment of longer texts, as in `Seq2SeqPreprocessor`.

    Raises:
        ValueError: If a length is below 1, `truncate` is unknown, or the tokenizer lacks a special
            token.
    """

    presets = BuiltInPresets()
    packing_arguments = ()  # Nothing is taken from another task's preset.
    source_key: str  # The sources' name in a dict of inputs.
    built: bool  # As in every layer.

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        decoder_sequence_length: int,
        truncate: str = "warn",
        **kwargs,
    ):
        check_truncate(truncate)
        check_positive(decoder_sequence_length=decoder_sequence_length)
        super().__init__(tokenizer, decoder_sequence_length=decoder_sequence_length, **kwargs)
        self.truncate = truncate
        self._truncation = Truncation()
        # Needed to find the vocabulary while a preset is loaded.
        self.tokenizer.config_file = TARGET_FILE

    @property
    def tokenizers(self) -> list:
        """The tokenizers, each once or more."""
        return [self.tokenizer]

    def build(self, input_shape):
        # Not in `__init__`: a tokenizer from a preset has no vocabulary before its assets are
        # loaded.
        with BUILDING:
            if not self.built:
                for tokenizer in self.tokenizers:
                    find_special_tokens(tokenizer)
                self.built = True

    # === Sources ===

    def read_sources(self, x):
        """Return whether sources are a single one, and the sources as a batch, checked."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `read_sources`.")

    def read_samples(self, x) -> np.ndarray:
        """Return sources as an array with a row for each sample; raise if they are invalid."""
        return self.read_sources(x)[1]

    def pack_sources(self, sources, length: int | None = None) -> dict:
        """Return the model's inputs for a batch of sources: the encoder's part of a call's dict."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `pack_sources`.")

    def count_places(self, packed: dict) -> int | None:
        """Return the largest number of real places of the memory; None if all are real."""
        return None

    def trim_sources(self, packed: dict) -> dict:
        """Return packed sources without superfluous padding, in one of a few lengths."""
        return packed

    # === Calls ===

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
            source, target = (x.get(side) for side in (self.source_key, "decoder_text"))
        if target is None:
            raise ValueError(
                "Training and `predict` need known targets: `y`, or `decoder_text` "
                f"beside `{self.source_key}`; `generate` makes them. Received: no targets"
            )
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        source_length = encoder_sequence_length or self.encoder_sequence_length
        is_one, packed, ids = self._pack(source, target, source_length, length)
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
        """Read, tokenize and pack for generation.

        Args:
            x: Sources, one or several; or a dict of them and of `"decoder_text"`, the prompts to
                continue.
            encoder_sequence_length: Padded length of the sources; None depends on the sources.
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
            source, target = (x.get(side) for side in (self.source_key, "decoder_text"))
        length = decoder_sequence_length or sequence_length or self.decoder_sequence_length
        is_one, packed, ids = self._pack(source, target, encoder_sequence_length, length)
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
        used = form()
        given = x["decoder_token_ids"], x["decoder_padding_mask"]
        ids, shown = used.shown_ids(*given, self._special_token_ids())
        if len(ids.shape) == 2:
            return used.detokenize(self.tokenizer, ids, shown)
        return [used.detokenize(self.tokenizer, *row) for row in zip(ids, shown, strict=True)]

    def check_pairs(self, sources, targets):
        """Raise if a target is no text, or is too long with `truncate="error"`.

        A call checks this too, but in a graph only later, and with TensorFlow's error. The sources
        are those that `read_samples` returns.
        """
        targets = as_texts(targets, "target", may_be_blank=True)
        if self.truncate == "error":
            ids = eager.tokenize(self.tokenizer, targets)
            self._apply_truncation(ids, self.decoder_sequence_length, "target")

    def tokens(self, text: str, side: str = "target") -> list[str]:
        """Return the tokens of one target as strings, truncated and with the end token, for labels.

        Args:
            text: A target.
            side: `"target"`.

        Raises:
            ValueError: If `side` is another.
        """
        if side != "target":
            raise ValueError(f'`side` must be "target". Received: side={side!r}')
        return self._tokens(self.tokenizer, text, self.decoder_sequence_length)

    def _tokens(self, tokenizer, text: str, length: int) -> list[str]:
        if not self.built:
            self.build(None)
        ids = np.asarray(as_lists(tokenizer([text]))[0]).astype(int).tolist()
        return [tokenizer.id_to_token(i) for i in [*ids[: length - 1], tokenizer.end_token_id]]

    # === Packing ===

    def _pack(self, source, target, source_length, limit):
        """Return whether `source` is a single one, the packed sources, and unpacked target ids.

        Without a target there are no target ids.
        """
        used = form()
        is_one, source = self.read_sources(source)
        packed = self.pack_sources(source, source_length)
        if target is None:
            target = self._empty_decoder_text(source)
        _, target = used.as_batch(target)
        target = used.check_texts(target, "target", may_be_blank=True)
        if used is eager:
            need_as_many(sources=source, targets=target)
        ids = self._tokenize_targets(target, source, source_length)
        return is_one, packed, self._apply_truncation(ids, limit, "target")

    def _tokenize_targets(self, targets, sources, source_length):
        """Return the unpacked ids of targets."""
        return form().tokenize(self.tokenizer, targets)

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

    def _special_token_ids(self):
        tokenizer = self.tokenizer
        return {tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id}

    # === Saving and loading ===

    def save_to_preset(self, preset_dir):
        """Write the tokenizer with its files, and the config."""
        # Named here: one tokenizer may serve another side or another preprocessor.
        self.tokenizer.config_file = TARGET_FILE
        self.tokenizer.save_to_preset(preset_dir)
        super().save_to_preset(preset_dir)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **kwargs):
        """Load a preprocessor from a preset; `preset` is as in a task's `from_preset`."""
        with explain_preset_errors(preset, cls, kwargs) as place:
            return super().from_preset(place, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "decoder_sequence_length": self.decoder_sequence_length,
            "truncate": self.truncate,
        }

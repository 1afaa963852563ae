"""Preprocessor from raw strings to the token ids of an encoder."""

import os

import keras
import keras_hub

import attnzoo.data.tokenizers  # noqa: F401 - Registers what a preset may hold.
from attnzoo.checks import check_positive
from attnzoo.models.parts.presets import BuiltInPresets, explain_preset_errors
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.preprocessing.input_checks import as_texts
from attnzoo.models.preprocessing.packing import BUILDING, check_table, find_special_tokens
from attnzoo.models.preprocessing.truncation import Truncation, check_truncate


class EncoderPreprocessor(keras_hub.models.Preprocessor):
    """Tokenizes, packs and pads texts: `ids [END]`, or `[START] ids [END]`.

    A batch is padded to the smallest of a few lengths that holds its longest text; a model is
    compiled for each of these lengths. Labels are returned unchanged. The preprocessor works on
    Python strings, and in the graph of a `tf.data` pipeline or an export.

    Args:
        tokenizer: A `keras_hub.tokenizers.Tokenizer`. It needs a start, an end and a padding token:
            as attributes `start_token_id`, `end_token_id`, `pad_token_id`, as in the tokenizers of
            attnzoo, or in a usual spelling (`"[START]"`, `"[CLS]"`, `"<s>"`, ...) in its
            vocabulary.
        sequence_length: Largest length of a text, in tokens, with the special ones. At least 1, and
            more than the number of special tokens.
        add_start: Whether to add the start token.
        add_end: Whether to add the end token.
        truncate: Treatment of a longer text: `"warn"` truncates it and warns, once; `"silent"`
            truncates it; `"error"` raises.

    Call arguments:
        x: A string or strings.
        y, sample_weight: Any values; they are returned unchanged.
        sequence_length: The length to pad to, in tokens; None depends on the batch.
        truncate: Replaces the constructor's `truncate`. A graph that will be saved needs `"silent"`
            or `"error"`: a warning needs Python.

    Returns:
        x, `(x, y)` or `(x, y, sample_weight)`, where x is a dict of `token_ids` int32 [B, S] and
        `padding_mask` bool [B, S].

    Raises:
        ValueError: If a length is too small, `truncate` is unknown, a special token is missing, a
            text is empty, or a text is too long and `truncate="error"`.
    """

    presets = BuiltInPresets()
    # Arguments that are taken from the preprocessor in another task's preset.
    tokenizer_cls = keras_hub.tokenizers.Tokenizer
    packing_arguments: tuple[str, ...] = ("sequence_length", "add_start", "add_end", "truncate")
    built: bool  # As in every layer.

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        sequence_length: int = 512,
        add_start: bool = False,
        add_end: bool = True,
        truncate: str = "warn",
        **kwargs,
    ):
        check_positive(sequence_length=sequence_length)
        if sequence_length <= add_start + add_end:
            raise ValueError(
                f"`sequence_length` must leave room beside {add_start + add_end} special tokens. "
                f"Received: sequence_length={sequence_length}"
            )
        check_truncate(truncate)
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.add_start = add_start
        self.add_end = add_end
        self.truncate = truncate
        self._truncation = Truncation()

    def build(self, input_shape):
        # Not in `__init__`: a tokenizer from a preset has no vocabulary before its assets are
        # loaded.
        with BUILDING:
            if not self.built:
                self.find_tokens()
                self.built = True

    def find_tokens(self):
        """Look up the special ids of the tokenizer."""
        find_special_tokens(self.tokenizer)

    def call(
        self,
        x,
        y=None,
        sample_weight=None,
        *,
        sequence_length: int | None = None,
        truncate: str | None = None,
    ):
        packed = self.pack_texts(x, sequence_length=sequence_length, truncate=truncate)
        return keras.utils.pack_x_y_sample_weight(packed, y, sample_weight)

    def pack_texts(self, x, *, sequence_length=None, truncate=None) -> dict:
        """Return the packed texts of a call, without labels."""
        if not self.built:
            self.build(None)
        is_one, texts = form().as_batch(x)
        ids = self.tokenize(texts)
        length = self.length_of(ids, sequence_length, truncate, is_one)
        packed = self.pack_tokens(ids, length)
        return {name: value[0] for name, value in packed.items()} if is_one else packed

    def check_labels(self, texts, label_ids):
        """Raise if labels do not fit their texts; a label for a whole text always fits."""

    def check_texts(self, texts):
        """Raise if a text is empty, or too long with `truncate="error"`.

        A call checks this too, but in a graph only later, and with TensorFlow's error.
        """
        texts = as_texts(texts)
        if self.truncate == "error":
            if not self.built:
                self.build(None)
            self.length_of(self.tokenize(texts))

    def tokenize(self, texts):
        """Return ids of B texts, unpacked: lists; in a graph a `tf.RaggedTensor` [B, (S)]."""
        used = form()
        return used.tokenize(self.tokenizer, used.check_texts(texts))

    def length_of(self, ids, sequence_length=None, truncate=None, fixed: bool = False):
        """Return the length to pad to; warn about longer texts, or raise.

        Args:
            ids: Ids from `tokenize`.
            sequence_length, truncate: As in a call.
            fixed: Whether to return the largest allowed length for every batch.
        """
        truncate = truncate or self.truncate
        check_truncate(truncate)
        check_positive(sequence_length=sequence_length or self.sequence_length)
        limit = min(sequence_length or self.sequence_length, self.sequence_length)
        fixed = fixed or sequence_length is not None
        used = form()
        lengths = used.count_tokens(ids) + self.add_start + self.add_end
        lengths = used.apply_truncation(lengths, lengths, limit, truncate, self._truncation)
        return used.padded_length(lengths, limit, fixed)

    def pack_tokens(self, ids, length):
        """Return ids with special tokens and padding, as the dict that a call returns."""
        if not self.built:
            self.build(None)
        tokenizer = self.tokenizer
        special = tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id
        token_ids, padding_mask = self.pack(ids, length, special)
        return {"token_ids": token_ids, "padding_mask": padding_mask}

    def pack(self, rows, length, special=(0, 0, 0)):
        """Cut, complete and pad rows of whole numbers, one for each token.

        Args:
            rows: Lists of int; in a graph a `tf.RaggedTensor`.
            length: S, in tokens.
            special: Values at the start token, at the end token and in the padding.

        Returns:
            int32 [B, S], and the mask bool [B, S] of what is no padding.
        """
        start, end, padding = special
        return form().pack_rows(
            rows,
            length,
            start=start if self.add_start else None,
            end=end if self.add_end else None,
            padding=padding,
        )

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of one text as strings, truncated and with special tokens."""
        packed = self.pack_texts(text, truncate="silent")
        ids = packed["token_ids"][packed["padding_mask"]]
        return [self.tokenizer.id_to_token(int(i)) for i in ids]

    def check_backbone(self, backbone):
        """Raise if texts may be too long for the backbone's positions, or have unknown ids."""
        check_table(backbone, sequence_length=self.sequence_length)
        self.check_vocabulary(backbone)

    def check_vocabulary(self, backbone):
        """Raise if the tokenizer may return an id without an embedding in `backbone`."""
        try:
            known = self.tokenizer.vocabulary_size()
        except ValueError:  # A preset's vocabulary is loaded later.
            return
        if known > backbone.vocabulary_size:
            raise ValueError(
                "The backbone's `vocabulary_size` must be at least that of the tokenizer, "
                f"{known}. Received: vocabulary_size={backbone.vocabulary_size}"
            )

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **kwargs):
        """Load a preprocessor from a preset; `preset` is as in a task's `from_preset`."""
        with explain_preset_errors(preset, cls, kwargs) as place:
            return super().from_preset(place, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "add_start": self.add_start,
            "add_end": self.add_end,
            "truncate": self.truncate,
        }

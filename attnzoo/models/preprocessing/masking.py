"""Preprocessor from texts to token ids with masked tokens, and the original tokens."""

import random

import keras
import keras_hub
import numpy as np

from attnzoo.models.preprocessing import eager
from attnzoo.models.preprocessing.encoder import EncoderPreprocessor
from attnzoo.models.preprocessing.forms import form

# The mask token in a text, and its spellings in vocabularies.
MASK = "[MASK]"
_SPELLINGS = (MASK, "<mask>")
_UNKNOWN = ("[UNK]", "<unk>")


class MaskingPreprocessor(EncoderPreprocessor):
    """Tokenizes, packs and pads texts, and masks some of their tokens at random in each call.

    The share `mask_rate` of a text's tokens, without the special ones, is chosen, and at least one
    token. Of the chosen tokens

        80 % become the mask token,  10 % another token,  10 % stay what they are

    by default. The mask token is the tokenizer's own `"[MASK]"` or `"<mask>"` if it has one, else
    the id after its vocabulary: a backbone then needs one more token.

    Differs from the paper: the masked tokens are drawn again each time a text is seen, as in
    RoBERTa.

    Args, besides those of `EncoderPreprocessor`:
        mask_rate: Share of a text's tokens that is chosen. In (0, 1].
        mask_token_rate: Share of the chosen tokens that become the mask token. In [0, 1].
        random_token_rate: Share of the chosen tokens that become a random token, each with the same
            probability. In [0, 1], and together with `mask_token_rate` at most 1.
        seed: Seed of the choice; None draws a seed, which depends on `keras.utils.set_random_seed`.
            A pipeline that masks several batches in parallel, such as `fit` on texts, uses the
            draws in no fixed order.

    Call arguments:
        x: A string or strings.
        y: None.
        sample_weight: Weights of the texts, [B], or None; not in a graph.

    Returns:
        `(x, y, sample_weight)`: x a dict of `token_ids` int32 [B, S], `padding_mask` bool [B, S]
        and `mask_positions` int32 [B, M]; y int32 [B, M], the original tokens; sample_weight
        float32 [B, M], 0 if a text has fewer than M.

    Raises:
        ValueError: As in `EncoderPreprocessor`; if a rate is outside its range; if there are
            labels.

    References:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3.1.
        [Liu et al., 2019](https://arxiv.org/abs/1907.11692), section 4.1.
    """

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        *,
        mask_rate: float = 0.15,
        mask_token_rate: float = 0.8,
        random_token_rate: float = 0.1,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(tokenizer, **kwargs)
        if not 0.0 < mask_rate <= 1.0:
            raise ValueError(f"`mask_rate` must be in (0, 1]. Received: mask_rate={mask_rate}")
        if mask_token_rate < 0.0 or random_token_rate < 0.0:
            raise ValueError(
                "`mask_token_rate` and `random_token_rate` must be at least 0. Received: "
                f"mask_token_rate={mask_token_rate}, random_token_rate={random_token_rate}"
            )
        if mask_token_rate + random_token_rate > 1.0 + 1e-9:
            raise ValueError(
                "`mask_token_rate` and `random_token_rate` must be at most 1 together. Received: "
                f"mask_token_rate={mask_token_rate}, random_token_rate={random_token_rate}"
            )
        self.mask_rate = mask_rate
        self.mask_token_rate = mask_token_rate
        self.random_token_rate = random_token_rate
        self.seed = seed
        self._first_seed = random.getrandbits(32) if seed is None else seed
        self._draw = np.random.default_rng(self._first_seed)
        self._draw_in_graph = None

    def find_tokens(self):
        super().find_tokens()
        tokenizer = self.tokenizer
        self.mask_token_id = self._own_mask()
        if self.mask_token_id is None:
            self.mask_token_id = tokenizer.vocabulary_size()
        special = (tokenizer.pad_token_id, tokenizer.start_token_id, tokenizer.end_token_id)
        unknown = self._ids_of(_UNKNOWN)  # Unknown tokens are never masked.
        self.special_token_ids = (*special, *unknown, self.mask_token_id)
        ids = np.arange(tokenizer.vocabulary_size(), dtype="int32")
        self.ordinary_token_ids = np.setdiff1d(ids, self.special_token_ids).astype("int32")

    def call(
        self,
        x,
        y=None,
        sample_weight=None,
        *,
        sequence_length: int | None = None,
        truncate: str | None = None,
    ):
        if y is not None:
            raise ValueError(
                "Hidden tokens are their own labels: `y` must be None. "
                f"Received: y of type {type(y).__name__}"
            )
        is_one, texts = form().as_batch(x)
        if is_one:
            sequence_length = sequence_length or self.sequence_length
        packed = self.pack_texts(texts, sequence_length=sequence_length, truncate=truncate)
        x, y, weight = self.hide_tokens(packed)
        weight = form().weigh(weight, sample_weight)
        if is_one:
            x, y, weight = {name: value[0] for name, value in x.items()}, y[0], weight[0]
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    def hide_tokens(self, packed: dict, generator=None):
        """Hide some of the tokens of packed texts.

        Args:
            packed: `token_ids` int [B, S] and `padding_mask` bool [B, S], from `pack_tokens`.
            generator: The `numpy.random.Generator` to draw from; None uses the preprocessor's own
                generator. Not in a graph.

        Returns:
            `(x, y, sample_weight)`, as in a call.
        """
        if not self.built:
            self.build(None)
        names = ("mask_rate", "mask_token_rate", "random_token_rate")
        token_ids, positions, y, weight = form().hide_tokens(
            packed["token_ids"],
            {name: getattr(self, name) for name in names},
            self.special_token_ids,
            self.ordinary_token_ids,
            self.mask_token_id,
            self._random(generator),
        )
        return {**packed, "token_ids": token_ids, "mask_positions": positions}, y, weight

    def pack_masks(self, texts) -> dict:
        """Pack texts in which `"[MASK]"` is the mask token.

        Args:
            texts: Strings; in a graph a tensor [B], which may have texts without a mask.

        Returns:
            dict of arrays: `token_ids`, `padding_mask` and `mask_positions` as in a call, and
            `is_mask` bool [B, M], False if a text has fewer than M.

        Raises:
            ValueError: If a text has no mask, or none after truncation.
        """
        if not self.built:
            self.build(None)
        ids = self.tokenize_masks(texts)
        packed = self.pack_tokens(ids, self.length_of(ids))
        found = form().find_masks(packed["token_ids"], self.mask_token_id)
        if form() is eager:
            for position, (text, row) in enumerate(zip(texts, found["is_mask"], strict=True)):
                if not row.any():
                    raise ValueError(
                        f"A text to be filled in must have a {MASK} within its first "
                        f"{self.sequence_length} tokens. Received: {text!r} at position {position}"
                    )
        return {**packed, **found}

    def tokenize_masks(self, texts):
        """Return the ids of texts that may contain `"[MASK]"`, unpacked."""
        if not self.built:
            self.build(None)
        return form().tokenize_masks(self.tokenizer, texts, MASK, self.mask_token_id)

    def check_vocabulary(self, backbone):
        """Raise if there may be an id without an embedding in `backbone`."""
        super().check_vocabulary(backbone)
        try:
            known = self.tokenizer.vocabulary_size()
        except ValueError:  # From a preset: its vocabulary is loaded later.
            return
        if known == backbone.vocabulary_size and self._own_mask() is None:
            raise ValueError(
                "The tokenizer has no mask token: the backbone's `vocabulary_size` must be one "
                f"more than its {known} tokens. "
                f"Received: vocabulary_size={backbone.vocabulary_size}"
            )

    def _own_mask(self):
        """Return the id of the tokenizer's own mask token, or None."""
        own = getattr(self.tokenizer, "mask_token_id", None)
        if own is not None:
            return int(own)
        return next(iter(self._ids_of(_SPELLINGS)), None)

    def _ids_of(self, spellings):
        """Return the ids of the tokens that are in the vocabulary."""
        known = set(self.tokenizer.get_vocabulary())
        return [int(self.tokenizer.token_to_id(token)) for token in spellings if token in known]

    def _random(self, generator):
        """Return the random generator: the argument, or the preprocessor's own."""
        if form() is eager:
            return self._draw if generator is None else generator
        return self._make_draw_in_graph()

    def _make_draw_in_graph(self):
        """Return a function of a shape to numbers in [0, 1), with its state outside of all graphs.

        TensorFlow's plain random operations restart with each pass over a dataset.
        """
        import tensorflow as tf

        if self._draw_in_graph is None:
            with tf.init_scope(), tf.device("CPU:0"):  # Where datasets run.
                self._draw_in_graph = tf.random.Generator.from_seed(self._first_seed).uniform
        return self._draw_in_graph

    def get_config(self):
        return {
            **super().get_config(),
            "mask_rate": self.mask_rate,
            "mask_token_rate": self.mask_token_rate,
            "random_token_rate": self.random_token_rate,
            "seed": self.seed,
        }

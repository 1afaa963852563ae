"""Training of subword tokenizers on the user's own text, as KerasHub's classes."""

import io
import sys
from collections.abc import Iterable

from attnzoo.data.tokenizers import SPECIAL_TOKENS

MODELS = ("unigram", "bpe", "byte_bpe", "word_piece")


def train_subword_tokenizer(
    texts: Iterable[str],
    *,
    vocabulary_size: int = 8000,
    model: str = "unigram",
    lowercase: bool = False,
    dtype: str = "int32",
):
    """Train a subword tokenizer from text.

    - `"unigram"` and `"bpe"`: SentencePiece, over raw text, spaces included: detokenizing returns
      the text, up to Unicode normalization (NFKC). A `keras_hub.tokenizers.SentencePieceTokenizer`.
    - `"byte_bpe"`: byte-pair encoding over bytes, as GPT-2 does it: no symbol is unknown. A
      `keras_hub.tokenizers.BytePairTokenizer`.
    - `"word_piece"`: pieces of words, as in BERT; punctuation is split off, and detokenizing puts
      spaces around it. A `keras_hub.tokenizers.WordPieceTokenizer`.

    Ids 0 to 3 are `[PAD]`, `[UNK]`, `[START]` and `[END]` in all models, as in the tokenizers of
    attnzoo, and text never becomes one of the three control tokens, even if it spells one. The same
    texts in the same order give the same tokenizer, in each process.

    In a TensorFlow graph KerasHub's `BytePairTokenizer` loses the characters U+096C and U+0000.

    Args:
        texts: Strings, read once.
        vocabulary_size: Number of tokens, with the special ones. More than 4. A small text may give
            fewer. All single symbols (for `"byte_bpe"` 256 bytes) are included even if they exceed
            this size, except U+2585, which SentencePiece reserves.
        model: `"unigram"`, `"bpe"`, `"byte_bpe"` or `"word_piece"`.
        lowercase: Whether text is converted to lower case first (not with `"byte_bpe"`).
        dtype: Integer type of the ids.

    Returns:
        A KerasHub tokenizer. A task's `save_to_preset` saves it with the model.

    Raises:
        ValueError: If `texts` is one string, holds a value that is not a string or no text, the
            model is unknown, the size is too small, or `lowercase` is True with `"byte_bpe"`.

    Example:
        >>> tokenizer = attnzoo.data.train_subword_tokenizer(sentences, vocabulary_size=4000)
        >>> preprocessor = attnzoo.models.RNNSeq2SeqLMPreprocessor(tokenizer, other_tokenizer)

    References:
        [Kudo, 2018](https://arxiv.org/abs/1804.10959) (unigram).
        [Sennrich et al., 2016](https://arxiv.org/abs/1508.07909) (byte pairs).
        [Kudo and Richardson, 2018](https://arxiv.org/abs/1808.06226) (SentencePiece).
    """
    if model not in MODELS:
        raise ValueError(f"`model` must be one of {MODELS}. Received: model={model!r}")
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"`texts` must be several strings. Received: texts={texts!r}")
    if vocabulary_size <= len(SPECIAL_TOKENS):
        raise ValueError(
            f"`vocabulary_size` must be more than {len(SPECIAL_TOKENS)}, the special tokens. "
            f"Received: vocabulary_size={vocabulary_size}"
        )
    if lowercase and model == "byte_bpe":
        raise ValueError(
            "Byte pairs keep text as it is: lower-case it yourself, or choose another model. "
            f'Received: lowercase={lowercase} with model="byte_bpe"'
        )
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"`texts` must hold strings. Received: {text!r} at position {position}"
            )
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise ValueError("`texts` must hold a text that is not blank. Received: none")
    train = {"byte_bpe": _byte_pairs, "word_piece": _word_pieces}.get(model, _sentence_pieces)
    return train(texts, vocabulary_size, model, lowercase, dtype)


def _sentence_pieces(texts, vocabulary_size, model, lowercase, dtype):
    import keras_hub
    import sentencepiece

    pad, unknown, start, end = SPECIAL_TOKENS
    # SentencePiece skips texts that contain its reserved U+2585, and by default long texts.
    texts = [text.replace("\u2585", " ") for text in texts]
    longest = max(len(text.encode("utf-8")) for text in texts)
    symbols = len(set("".join(texts)))
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        max_sentence_length=max(4192, longest),
        model_writer=written,
        model_type=model,
        # Every symbol has a piece of its own; a text too small for the size gives fewer pieces.
        vocab_size=max(vocabulary_size, len(SPECIAL_TOKENS) + symbols + 1),
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        pad_piece=pad,
        unk_piece=unknown,
        bos_piece=start,
        eos_piece=end,
        minloglevel=2,
    )
    return keras_hub.tokenizers.SentencePieceTokenizer(proto=written.getvalue(), dtype=dtype)


def _byte_pairs(texts, vocabulary_size, model, lowercase, dtype):
    import json

    import keras_hub
    import tokenizers

    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        texts,
        tokenizers.trainers.BpeTrainer(
            # KerasHub's class needs at least one merge.
            vocab_size=max(vocabulary_size, len(SPECIAL_TOKENS) + 256 + 1),
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    learned = json.loads(trained.to_str())["model"]
    if not learned["merges"]:
        raise ValueError(
            'Byte pairs need a text with two symbols side by side; use model="unigram", or a '
            f"`CharacterTokenizer`. Received: texts={texts[:3]!r}"
        )
    return keras_hub.tokenizers.BytePairTokenizer(
        vocabulary=learned["vocab"],
        merges=[" ".join(pair) for pair in learned["merges"]],
        unsplittable_tokens=[],  # Text that spells a special token stays text.
        dtype=dtype,
    )


def _word_pieces(texts, vocabulary_size, model, lowercase, dtype):
    import keras_hub
    import tokenizers

    trained = tokenizers.BertWordPieceTokenizer(
        lowercase=lowercase, strip_accents=False, clean_text=True
    )
    trained.train_from_iterator(
        texts,
        vocab_size=vocabulary_size,
        min_frequency=1,
        limit_alphabet=sys.maxunicode,  # All characters; the default is 1,000.
        # The characters inside words are given in a fixed order: the trainer would number them at
        # random, and these numbers decide between equally frequent pairs.
        special_tokens=[*SPECIAL_TOKENS, *_inner_characters(trained, texts)],
        show_progress=False,
    )
    by_id = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    return keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=[token for token, _ in by_id],
        lowercase=lowercase,
        oov_token=SPECIAL_TOKENS[1],
        special_tokens=list(SPECIAL_TOKENS),
        dtype=dtype,
    )


def _inner_characters(tokenizer, texts) -> list[str]:
    """Return each character that continues a word in the texts, as a piece: `"##a"`."""
    found: set[str] = set()
    for text in texts:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        found.update(*(word[1:] for word, _ in words))
    return [f"##{character}" for character in sorted(found)]

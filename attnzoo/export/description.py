"""The text side of an exported model as plain JSON: how texts become rows of ids, and ids texts.

`attnzoo.runtime` reads it. Whatever depends on Unicode tables or on a tokenizer's own library is
written out here (character classes, the rules of a normalization), so that the reader needs none.
"""

import base64
import functools
import re
import sys
import unicodedata

import keras_hub

from attnzoo.data.tokenizers import SPECIAL_TOKENS, CharacterTokenizer, SymbolTokenizer
from attnzoo.models.preprocessing.masking import MASK, MaskingPreprocessor
from attnzoo.models.preprocessing.seq2seq import Seq2SeqPreprocessor
from attnzoo.models.preprocessing.span_units import is_in_word
from attnzoo.models.preprocessing.spans import SpanPreprocessor
from attnzoo.whitespace import WHITE_SPACE


def describe(preprocessor) -> dict | None:
    """Return the description of a preprocessor.

    Args:
        preprocessor: A preprocessor of `attnzoo.models`, or None.

    Returns:
        None without a preprocessor; else a dict that JSON can hold:

        - `source`, and for sequence-to-sequence `target`: each a dict of `tokenizer`, the ids
          `start` (or None), `end` (or None) and `padding`, and `length`, the longest row in tokens.
          A target with the source's tokenizer has `"source"` in place of a second copy;
        - `truncate`: `"error"` if a longer text is refused, else it is cut;
        - `mask`: for a masked language model, the string and the id of the mask token;
        - `units`: for question answering a pattern, whose first group is a unit at which an answer
          may begin and end, and whose whole match is the text to tokenize; and `no_answer`, whether
          there may be none.

        A tokenizer has its `kind`, its `vocabulary` in the order of ids, the id `unknown` (or None)
        and what its kind needs.

    Raises:
        ValueError: If contexts are split into windows; if a tokenizer is of another kind than those
            of `attnzoo.data` and KerasHub's byte pairs, WordPiece and SentencePiece, or uses an
            option that is not supported.
    """
    if preprocessor is None:
        return None
    if not preprocessor.built:
        preprocessor.build(None)
    truncate = "error" if preprocessor.truncate == "error" else "cut"
    if isinstance(preprocessor, Seq2SeqPreprocessor):
        source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
        one = describe_tokenizer(source)
        other = describe_tokenizer(target)
        return {
            "truncate": truncate,
            "source": _side(source, one, preprocessor.encoder_sequence_length, start=False),
            "target": _side(
                target,
                "source" if one == other else other,
                preprocessor.decoder_sequence_length,
            ),
        }
    tokenizer = preprocessor.tokenizer
    description = {
        "truncate": truncate,
        "source": _side(
            tokenizer,
            describe_tokenizer(tokenizer),
            preprocessor.sequence_length,
            start=preprocessor.add_start,
            end=preprocessor.add_end,
        ),
        # Between question and context an end token stands in any case.
        "separator": int(tokenizer.end_token_id),
    }
    if isinstance(preprocessor, MaskingPreprocessor):
        description["mask"] = {"token": MASK, "id": int(preprocessor.mask_token_id)}
    if isinstance(preprocessor, SpanPreprocessor):
        if preprocessor.stride is not None:
            raise ValueError(
                "The runtime truncates contexts, and does not split them into windows: set "
                f"`task.preprocessor.stride = None`. Received: stride={preprocessor.stride}"
            )
        description["units"] = _units(preprocessor.span_unit)
        description["no_answer"] = preprocessor.no_answer
    return description


def _units(span_unit: str) -> str:
    """Return the pattern of the units of a context; see `describe`."""
    visible = f"[^{WHITE_SPACE}]"
    if span_unit == "characters":
        return f"({visible})[{WHITE_SPACE}]*"
    if span_unit == "words":
        return f"({visible}+)"
    in_word = _ranges({ord(one) for one in _all_characters() if is_in_word(one)})
    return f"([{in_word}]+|{visible})"


def _side(tokenizer, description, length, *, start=True, end=True):
    return {
        "tokenizer": description,
        "start": int(tokenizer.start_token_id) if start else None,
        "end": int(tokenizer.end_token_id) if end else None,
        "padding": int(tokenizer.pad_token_id),
        "length": int(length),
    }


def describe_tokenizer(tokenizer) -> dict:
    """Return the description of a tokenizer; see `describe`."""
    for kind, describe_kind in _KINDS.items():
        if isinstance(tokenizer, kind):
            return describe_kind(tokenizer)
    raise ValueError(
        "A model for `attnzoo.runtime` needs a tokenizer of `attnzoo.data`, or a byte-pair, "
        "WordPiece or SentencePiece tokenizer of KerasHub; export with `saved_model`, or without a "
        f"preprocessor and tokenize outside. Received: tokenizer={tokenizer!r}"
    )


def _description(kind, tokens, unknown, segments, words, **more) -> dict:
    """Return a description; without `more`, texts, words and outputs stay as they are."""
    return {
        "kind": kind,
        "vocabulary": list(tokens),
        "unknown": unknown,
        "reserved": [],  # Ids that no text becomes.
        "special": [],  # Tokens that a text may spell.
        "text": [],
        "words": words,
        "word": [],
        "segments": segments,
        "separator": "",
        "output": [],
        **more,
    }


def _symbols(tokenizer) -> dict:
    characters = isinstance(tokenizer, CharacterTokenizer)
    return _description(
        "characters" if characters else "symbols",
        tokenizer.get_vocabulary(),
        int(tokenizer.unk_token_id),
        "whole",
        r"[\s\S]" if characters else f"[^{WHITE_SPACE}]+",
        reserved=list(range(len(SPECIAL_TOKENS))),
        text=["lower"] if tokenizer.lowercase else [],
        separator=tokenizer.separator,
    )


def _byte_pairs(tokenizer) -> dict:
    by_id = sorted(tokenizer.vocabulary.items(), key=lambda item: item[1])
    if [id for _, id in by_id] != list(range(len(by_id))):
        raise ValueError(
            "The ids of a byte-pair vocabulary must be 0, 1, 2 and so on, without a gap. "
            f"Received: {len(by_id)} tokens, with ids up to {by_id[-1][1]}"
        )
    special = list(tokenizer.unsplittable_tokens or [])
    merges = [merge.split(" ") for merge in tokenizer.merges if "#version:" not in merge]
    return _description(
        "byte_pair",
        [_to_bytes(token) for token, _ in by_id],
        None,  # There is a token for each byte.
        "merges",
        # As KerasHub's own Python code has it, a text is one word.
        r"[\s\S]+",
        merges=[(*map(_to_bytes, pair), rank) for rank, pair in enumerate(merges)],
        special=sorted(special, key=len, reverse=True),
        word=[*([["^(?! )", " "]] if tokenizer.add_prefix_space else []), "to_bytes"],
        output=["from_bytes"],
    )


def _to_bytes(token: str) -> str:
    """Return a token of byte pairs with the characters 0 to 255 in place of letters for bytes."""
    letters = _byte_letters()
    if all(letter in letters for letter in token):
        return "".join(letters[letter] for letter in token)
    return token.encode("utf-8").decode("latin-1")


@functools.cache
def _byte_letters() -> dict[str, str]:
    """Return the byte that each letter stands for: itself if it prints, else one from 256 on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {chr(256 + place): chr(byte) for place, byte in enumerate(hidden)}
    return {**{chr(byte): chr(byte) for byte in shown}, **letters}


def _word_pieces(tokenizer) -> dict:
    if not tokenizer.split or tokenizer.special_tokens_in_strings:
        raise ValueError(
            "A WordPiece tokenizer for `attnzoo.runtime` splits texts into words and reads special "
            f"tokens in a text as text. Received: split={tokenizer.split}, "
            f"special_tokens_in_strings={tokenizer.special_tokens_in_strings}"
        )
    suffix = tokenizer.suffix_indicator
    alone = r"!-/:-@\[-`{-~" + _class_of(r"\p{P}") + (_IDEOGRAPHS if tokenizer.split_on_cjk else "")
    gaps = " \t\n\r\f" + _class_of(r"\p{Cc}|\p{Cf}")
    return _description(
        "word_piece",
        tokenizer.get_vocabulary(),
        int(tokenizer.token_to_id(tokenizer.oov_token)),
        "longest",
        f"[{alone}]|[^{alone}{gaps}]+",
        text=["NFD", [f"[{_accents()}]", ""]] if tokenizer.strip_accents else [],
        word=["NFKC", "casefold", "NFKC", [f"[{_IGNORED}]", ""]] if tokenizer.lowercase else [],
        suffix=suffix,
        longest_word=100,  # In bytes; a longer word is unknown.
        separator=" ",
        output=[[f" {re.escape(suffix)}(?=[^ ])", ""]],
    )


def _sentence_pieces(tokenizer) -> dict:
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(tokenizer.proto)
    trained, rules = model.trainer_spec, model.normalizer_spec
    models = {1: "unigram", 2: "bpe"}
    types = [piece.type for piece in model.pieces]
    normal, unknown, control = 1, 2, 3
    if (
        trained.model_type not in models
        or trained.treat_whitespace_as_suffix
        or set(types) - {normal, unknown, control}
        or not (rules.escape_whitespaces and rules.remove_extra_whitespaces)
        or tokenizer.add_bos
        or tokenizer.add_eos
    ):
        raise ValueError(
            "A SentencePiece model for `attnzoo.runtime` must be as "
            "`attnzoo.data.train_subword_tokenizer` trains it: of type unigram or bpe, without "
            "pieces for bytes, pieces of the user's, or unused ones, without extra spaces or "
            "spaces at the ends of words, and with no start and end added by the tokenizer. "
            f"Received: {tokenizer.name!r}"
        )
    pieces = [piece.piece for piece in model.pieces]
    reserved = [id for id, kind in enumerate(types) if kind != normal]
    scores = {one: model.pieces[id].score for id, one in enumerate(pieces) if id not in reserved}
    unigram = trained.model_type == 1
    surfaces = {id: "" for id in reserved} | {types.index(unknown): trained.unk_surface}
    prefix = [["^(?=[^ ])", " "]] if rules.add_dummy_prefix else []
    return _description(
        f"sentencepiece_{models[trained.model_type]}",
        pieces,
        types.index(unknown),
        "best" if unigram else "merges",
        r"[\s\S]+",
        reserved=reserved,
        text=[
            # A trie of bytes and what replaces each string, as SentencePiece compiled it.
            {"trie": base64.b64encode(rules.precompiled_charsmap).decode("ascii")},
            [" +", " "],
            ["^ | $", ""],
            *prefix,
            [" ", _SPACE],
        ],
        joins_unknown=True,
        surfaces=surfaces,
        output=[*([[f"^{_SPACE}", ""]] if prefix else []), [_SPACE, " "]],
        **({"scores": [one.score for one in model.pieces]} if unigram else _merges(scores)),
    )


def _merges(scores: dict[str, float]) -> dict:
    """Return all pairs that make a piece, the one with the highest score first."""
    ranked = sorted(scores, key=lambda piece: -scores[piece])
    pairs = [
        (piece[:cut], piece[cut:], rank)
        for rank, piece in enumerate(ranked)
        for cut in range(1, len(piece))
        if all(len(part) == 1 or part in scores for part in (piece[:cut], piece[cut:]))
    ]
    return {"merges": pairs}


_KINDS = {
    CharacterTokenizer: _symbols,
    SymbolTokenizer: _symbols,
    keras_hub.tokenizers.BytePairTokenizer: _byte_pairs,
    keras_hub.tokenizers.WordPieceTokenizer: _word_pieces,
    keras_hub.tokenizers.SentencePieceTokenizer: _sentence_pieces,
}

# === Tables of Unicode ===

_SPACE = "\u2581"  # SentencePiece's.

# Ideographs, each a word of its own in WordPiece.
_IDEOGRAPHS = (
    "\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002ceaf\uf900-\ufaff"
    "\U0002f800-\U0002fa1f"
)
# Characters without a look of their own, which WordPiece's case folding leaves out.
_IGNORED = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)


@functools.cache
def _class_of(pattern: str) -> str:
    """Return the characters that match a pattern such as `\\p{P}`, as in `_ranges`.

    KerasHub uses the same package, whose Unicode version is not Python's.
    """
    import regex

    return _ranges({ord(found) for found in regex.findall(pattern, _all_characters())})


@functools.cache
def _accents() -> str:
    """Return the characters that are accents on others, as in `_ranges`."""
    return _ranges({ord(one) for one in _all_characters() if unicodedata.category(one) == "Mn"})


def _all_characters() -> str:
    return "".join(map(chr, range(sys.maxunicode + 1)))


def _ranges(codes: set[int]) -> str:
    """Return code points as ranges inside a regular expression's character class."""
    firsts = sorted(code for code in codes if code - 1 not in codes)
    lasts = sorted(code for code in codes if code + 1 not in codes)
    return "".join(
        f"{re.escape(chr(first))}-{re.escape(chr(last))}"
        for first, last in zip(firsts, lasts, strict=True)
    )

"""Tokenizers from their description, beside the tokenizers that were described."""

import json

import keras_hub
import pytest

from attnzoo import data
from attnzoo.export.description import describe_tokenizer
from attnzoo.models.preprocessing.packing import tokenize_rows
from attnzoo.runtime.tokenizer import Tokenizer

pytestmark = pytest.mark.backend_free

TRAINING = [
    "the cat sat on the mat, and the other cats sat there too",
    "größere Straßen und Gässchen über der Brücke",
    "naïve café; it's 1,234 Ωmega ½ they'll",
    "日本語のテキスト 東京",
]
# What is unknown, in upper case, in other scripts, decomposed, or blank in an unusual way.
TEXTS = [
    *TRAINING,
    "The CAT",
    "ＦＵＬＬ width ①②",
    "e\u0301 İstanbul ſ ﬁne ẞ ΣΑΣ",
    "  two  spaces\tand\u00a0a\u3000tab\n",
    "zero\u200bwidth\u00adhyphen \u2581 [PAD][END]",
    "🎉 👨‍👩‍👧 привет",
    "x" * 120,
    "they'LL 's're ٣٤ \x00 \ufffd",
    "\u09c7\u09d7 \U0001d15e ½½",
]


def trained(model, **options):
    return data.train_subword_tokenizer(TRAINING, vocabulary_size=90, model=model, **options)


def byte_pairs(**options):
    one = trained("byte_bpe")
    return keras_hub.tokenizers.BytePairTokenizer(one.vocabulary, one.merges, **options)


def word_pieces(**options):
    tokens = trained("word_piece").get_vocabulary()
    return keras_hub.tokenizers.WordPieceTokenizer(tokens, oov_token="[UNK]", **options)


TOKENIZERS = {
    "characters": lambda: data.CharacterTokenizer.from_texts(TRAINING),
    "characters in lower case": lambda: data.CharacterTokenizer.from_texts(
        TRAINING, lowercase=True
    ),
    "symbols": lambda: data.SymbolTokenizer.from_texts(TRAINING),
    "unigram": lambda: trained("unigram"),
    "unigram in lower case": lambda: trained("unigram", lowercase=True),
    "bpe": lambda: trained("bpe", lowercase=True),
    "byte pairs": lambda: trained("byte_bpe"),
    "byte pairs with a space in front": lambda: byte_pairs(
        unsplittable_tokens=["[PAD]", "[END]"], add_prefix_space=True
    ),
    "word pieces": lambda: trained("word_piece"),
    "word pieces in lower case": lambda: word_pieces(lowercase=True, strip_accents=True),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_described_tokenizer_reads_and_writes_as_the_live_one(name):
    live = TOKENIZERS[name]()
    described = Tokenizer(json.loads(json.dumps(describe_tokenizer(live))))
    rows = tokenize_rows(live, TEXTS)
    assert [described.tokenize(text) for text in TEXTS] == rows
    for row in rows:
        if row:
            assert described.detokenize(row) == live.detokenize(row)


def test_a_tokenizer_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="needs a tokenizer of .*ByteTokenizer"):
        describe_tokenizer(keras_hub.tokenizers.ByteTokenizer())


def test_options_that_the_runtime_does_not_know_are_refused():
    with pytest.raises(ValueError, match="split=False, special_tokens_in_strings=False"):
        describe_tokenizer(word_pieces(split=False))
    live = trained("unigram")
    live.add_bos = True
    with pytest.raises(ValueError, match="of type unigram or bpe.*Received: 'sentence_piece"):
        describe_tokenizer(live)
    one = trained("byte_bpe")
    with pytest.raises(ValueError, match="without a gap. Received: .* ids up to 999"):
        describe_tokenizer(
            keras_hub.tokenizers.BytePairTokenizer({**one.vocabulary, "gap": 999}, one.merges)
        )


def test_a_newer_segmentation_is_refused():
    description = describe_tokenizer(TOKENIZERS["symbols"]())
    with pytest.raises(ValueError, match="'best', 'longest', 'merges'.*Received: 'other'"):
        Tokenizer({**description, "segments": "other"})

"""Subword tokenizers trained from text, and models on them."""

import subprocess
import sys

import numpy as np
import pytest

from attnzoo import data, models
from attnzoo.data.subwords import MODELS
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = ["Two men are outside.", "A man in an orange hat.", "Men outside in orange hats, at night."]
SPECIAL = ["[PAD]", "[UNK]", "[START]", "[END]"]


@pytest.mark.parametrize("model", MODELS)
def test_one_call_gives_a_tokenizer_whose_text_comes_back(model):
    size = 300 if model == "byte_bpe" else 70
    tokenizer = data.train_subword_tokenizer(iter(TEXTS), vocabulary_size=size, model=model)
    assert [tokenizer.id_to_token(id) for id in range(4)] == SPECIAL
    for text, ids in zip(TEXTS, tokenizer(TEXTS), strict=True):
        assert 1 < len(ids) < len(text)  # Neither whole texts nor single characters.
        assert 1 not in ids
        again = tokenizer.detokenize(ids)
        assert again.replace(" ", "") == text.replace(" ", "")
        assert again == text or model == "word_piece"


@pytest.mark.parametrize("model", ["unigram", "bpe", "word_piece"])
def test_lower_case(model):
    tokenizer = data.train_subword_tokenizer(TEXTS, vocabulary_size=60, model=model, lowercase=True)
    upper, lower = tokenizer(["MEN", "men"])
    assert list(upper) == list(lower) and 1 not in upper


@pytest.mark.parametrize("model", MODELS)
def test_a_size_is_a_limit_that_single_symbols_may_pass(model):
    larger = data.train_subword_tokenizer(TEXTS, vocabulary_size=300, model=model)
    smaller = data.train_subword_tokenizer(TEXTS, vocabulary_size=5, model=model)
    assert smaller.vocabulary_size() < larger.vocabulary_size() <= 300
    assert 1 not in smaller("A man")


@pytest.mark.backend_free
@pytest.mark.parametrize("model", ["unigram", "bpe", "word_piece"])
def test_texts_of_any_length_and_of_any_symbols_are_learned_from(model):
    # SentencePiece leaves out texts of more than 4,192 bytes, and those with its own U+2585.
    texts = [*TEXTS * 9, "xylophone " * 900, "quiz \u2585 quiz"]
    tokenizer = data.train_subword_tokenizer(texts, vocabulary_size=90, model=model)
    for word in ("xylophone", "quiz"):
        assert 1 not in tokenizer(word)
    assert len(tokenizer("xylophone")) < 4


@pytest.mark.backend_free
@pytest.mark.parametrize("model", ["unigram", "bpe", "word_piece"])
def test_more_than_a_thousand_characters_are_known(model):
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]
    texts = [" ".join(characters[i : i + 50]) for i in range(0, 1500, 50)]
    tokenizer = data.train_subword_tokenizer(texts, vocabulary_size=8000, model=model)
    assert not [text for text in characters if 1 in tokenizer(text)]


MADE_ANEW = """\
import hashlib, sys
from attnzoo.data import train_subword_tokenizer
for model in sys.argv[2:]:
    tokenizer = train_subword_tokenizer(sys.argv[1].split(";"), vocabulary_size=330, model=model)
    tokens = [tokenizer.id_to_token(id) for id in range(tokenizer.vocabulary_size())]
    print(hashlib.sha256(repr(tokens).encode()).hexdigest())
"""


@pytest.mark.backend_free
def test_another_process_makes_the_same_tokenizer(capsys, monkeypatch):
    draw = np.random.default_rng(0)
    texts = ["".join(draw.choice(list("abcdefgh ,"), 60)) for _ in range(60)]
    arguments = ["-c", ";".join(texts), *MODELS]
    child = subprocess.run(
        [sys.executable, "-c", MADE_ANEW, *arguments[1:]], capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    monkeypatch.setattr(sys, "argv", arguments)
    exec(MADE_ANEW, {})
    assert capsys.readouterr().out == child.stdout and len(set(child.stdout.split())) == 4


@pytest.mark.rotates
@pytest.mark.parametrize(("source", "target"), [("unigram", "bpe"), ("byte_bpe", "word_piece")])
def test_a_model_on_them_trains_generates_and_is_saved(source, target, tmp_path):
    targets = [text.upper() for text in TEXTS]
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        data.train_subword_tokenizer(TEXTS, vocabulary_size=60, model=source),
        data.train_subword_tokenizer(targets, vocabulary_size=60, model=target),
        encoder_sequence_length=32,
        decoder_sequence_length=32,
    )
    task = tiny.make_task(preprocessor)
    batches = data.BucketedBatches(list(zip(TEXTS, targets, strict=True)), preprocessor)
    assert np.isfinite(task.fit(batches, epochs=1, verbose=0).history["loss"][0])
    task.save_to_preset(str(tmp_path))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path)
    assert again.generate(TEXTS) == task.generate(TEXTS)
    assert again.preprocessor.tokens("MEN") == preprocessor.tokens("MEN")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "syllables"}, "must be one of .*'unigram'.* Received: model='syllables'"),
        ({"texts": "one"}, "must be several strings. Received: texts='one'"),
        ({"vocabulary_size": 4}, "more than 4, .* Received: vocabulary_size=4"),
        ({"texts": ["", " "]}, "a text that is not blank. Received: none"),
        ({"texts": ["a", None]}, "must hold strings. Received: None at position 1"),
        ({"model": "byte_bpe", "lowercase": True}, "lower-case it yourself.* Received: lowercase"),
        ({"model": "byte_bpe", "texts": ["a", "b"]}, r"two symbols.* Received: texts=\['a', 'b'\]"),
    ],
)
def test_bad_input_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.train_subword_tokenizer(**{"texts": TEXTS, **arguments})

"""From strings to ids and back, with two tokenizers."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import data, models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def preprocessor():
    return tiny.make_preprocessor()


def ids_of(tokenizer, text):
    return [int(i) for i in tokenizer(text)]


def test_a_source_ends_with_its_end_token_and_a_target_is_shifted(preprocessor):
    x, y, weight = tools.to_numpy(preprocessor(["cat", "hatch"], ["K AE T", "HH AE CH"]))
    cat = [*ids_of(preprocessor.source_tokenizer, "cat"), tiny.END]
    kat = ids_of(preprocessor.tokenizer, "K AE T")
    assert x["encoder_token_ids"][0].tolist() == cat + [0] * (tiny.S - 4)
    assert x["decoder_token_ids"][0].tolist() == [tiny.START, *kat, tiny.END, 0, 0]
    assert y[0].tolist() == [*kat, tiny.END, 0, 0, 0]
    assert weight[0].tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert x["encoder_padding_mask"].sum(axis=1).tolist() == [4, 6]
    assert x["decoder_padding_mask"][0].tolist() == weight[0].astype(bool).tolist()
    assert {name: value.dtype.name for name, value in x.items()} == {
        "encoder_token_ids": "int32",
        "encoder_padding_mask": "bool",
        "decoder_token_ids": "int32",
        "decoder_padding_mask": "bool",
    }


def test_a_dict_of_texts_is_the_same_as_two_lists(preprocessor):
    pairs = {"encoder_text": tiny.WORDS, "decoder_text": tiny.PHONEMES}
    one, other = preprocessor(pairs), preprocessor(tiny.WORDS, tiny.PHONEMES)
    keras.tree.map_structure(
        np.testing.assert_array_equal, tools.to_numpy(one), tools.to_numpy(other)
    )


def test_texts_that_are_too_long_are_cut_and_keep_their_end(preprocessor):
    x, y, weight = tools.to_numpy(preprocessor(["cat" * 5], ["K AE T " * 5]))
    assert x["encoder_token_ids"].shape == (1, tiny.S) and y.shape == (1, tiny.T)
    assert x["encoder_token_ids"][0, -1] == tiny.END
    assert y[0, -1] == tiny.END
    assert weight.all()


def test_an_unknown_symbol_becomes_the_unknown_token(preprocessor):
    x, y, _ = tools.to_numpy(preprocessor(["cut"], ["K ZZ T"]))
    assert x["encoder_token_ids"][0, 1] == preprocessor.source_tokenizer.unk_token_id == 1
    assert y[0, 1] == preprocessor.tokenizer.unk_token_id == 1
    assert preprocessor.tokens("cut", "source") == ["c", "[UNK]", "t", "[END]"]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_source_is_refused(preprocessor, empty):
    message = "at least one symbol. Received: '\\s*' at position 1"
    with pytest.raises(ValueError, match=message):
        preprocessor(["cat", empty], ["K", "K"])
    with pytest.raises(ValueError, match=message):
        preprocessor.generate_preprocess(["cat", empty])


def test_generation_starts_with_the_start_token_alone(preprocessor):
    x = tools.to_numpy(preprocessor.generate_preprocess(["cat", "hatch"]))
    assert x["decoder_token_ids"].tolist() == [[tiny.START] + [0] * (tiny.T - 1)] * 2
    assert x["decoder_padding_mask"].sum(axis=1).tolist() == [1, 1]
    assert x["encoder_token_ids"].shape == (2, 8)  # Fitted, to few different lengths.


def test_generation_goes_on_from_a_given_beginning(preprocessor):
    x = tools.to_numpy(
        preprocessor.generate_preprocess(
            {"encoder_text": ["cat"], "decoder_text": ["K AE"]}, sequence_length=5
        )
    )
    given = ids_of(preprocessor.tokenizer, "K AE")
    assert x["decoder_token_ids"].tolist() == [[tiny.START, *given, 0, 0]]
    assert x["decoder_padding_mask"].tolist() == [[True] * 3 + [False] * 2]


def test_the_source_s_length_may_be_asked_for(preprocessor):
    x = preprocessor.generate_preprocess(["cat"], encoder_sequence_length=13)
    assert tuple(x["encoder_token_ids"].shape) == (1, 13)


def test_generated_ids_become_text_without_special_tokens(preprocessor):
    known = ids_of(preprocessor.tokenizer, "K AE T")
    ids = np.array([[tiny.START, *known, tiny.END, 4, 4], [tiny.START, tiny.END, 4, 4, 4, 4, 4]])
    real = tools.lengths_mask([5, 2], 7)
    batch = {"decoder_token_ids": ids, "decoder_padding_mask": real}
    assert preprocessor.generate_postprocess(batch) == ["K AE T", ""]
    n_best = {name: np.stack([value, value[::-1]]) for name, value in batch.items()}
    assert preprocessor.generate_postprocess(n_best) == [["K AE T", ""], ["", "K AE T"]]


def test_tokens_are_labels_with_the_end_token(preprocessor):
    assert preprocessor.tokens("K AE T") == ["K", "AE", "T", "[END]"]
    assert preprocessor.tokens("cat", "source") == ["c", "a", "t", "[END]"]
    with pytest.raises(ValueError, match="\"target\". Received: side='middle'"):
        preprocessor.tokens("cat", "middle")


@pytest.mark.parametrize("name", ["encoder_sequence_length", "decoder_sequence_length"])
def test_a_length_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must .* Received: {name}=0"):
        tiny.make_preprocessor(**{name: 0})


def word_piece():
    return keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[START]", "[END]", "c", "h", "##h", "##at"],
        lowercase=True,
    )


def test_a_subword_tokenizer_of_keras_hub_works_on_either_side():
    both = models.RNNSeq2SeqLMPreprocessor(
        word_piece(), word_piece(), encoder_sequence_length=5, decoder_sequence_length=5
    )
    x, y, _ = tools.to_numpy(both(["chat", "cat"], ["cat", "chat"]))
    assert x["encoder_token_ids"].tolist() == [[4, 6, 7, 3, 0], [4, 7, 3, 0, 0]]
    assert y.tolist() == [[4, 7, 3, 0, 0], [4, 6, 7, 3, 0]]
    assert both.tokens("cat") == ["c", "##at", "[END]"]
    batch = {
        "decoder_token_ids": np.array([[2, 4, 7, 3, 0]]),
        "decoder_padding_mask": tools.lengths_mask([4], 5),
    }
    assert both.generate_postprocess(batch) == ["cat"]


def test_a_byte_pair_tokenizer_of_keras_hub_works_for_the_target():
    specials = ["[PAD]", "[UNK]", "[START]", "[END]"]
    tokens = [*specials, "c", "a", "t", "h", "at", "cat"]
    tokenizer = keras_hub.tokenizers.BytePairTokenizer(
        vocabulary={token: i for i, token in enumerate(tokens)},
        merges=["a t", "c at"],
        unsplittable_tokens=specials,
    )
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        tiny.make_preprocessor().source_tokenizer, tokenizer, decoder_sequence_length=5
    )
    x, y, weight = tools.to_numpy(preprocessor(["cat", "hat"], ["cat", "hat"]))
    assert x["decoder_token_ids"].tolist() == [[2, 9, 3, 0, 0], [2, 7, 8, 3, 0]]
    assert y.tolist() == [[9, 3, 0, 0, 0], [7, 8, 3, 0, 0]]
    assert weight.sum(axis=1).tolist() == [2, 3]
    batch = {
        "decoder_token_ids": np.array([[2, 7, 8, 3, 0], [2, 3, 0, 0, 0]]),
        "decoder_padding_mask": tools.lengths_mask([4, 2], 5),
    }
    assert preprocessor.generate_postprocess(batch) == ["hat", ""]


def test_a_tokenizer_without_a_special_token_is_refused():
    bare = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[START]", "a"], special_tokens=["[PAD]"]
    )
    preprocessor = models.RNNSeq2SeqLMPreprocessor(data.CharacterTokenizer.from_texts(["a"]), bare)
    message = "`end_token_id` or one of .*END.* Received: tokenizer=<WordPieceTokenizer"
    with pytest.raises(ValueError, match=message):
        preprocessor(["a"], ["a"])


def test_the_config_holds_both_tokenizers(preprocessor):
    config = preprocessor.get_config()
    again = models.RNNSeq2SeqLMPreprocessor.from_config(config)
    assert isinstance(again.source_tokenizer, data.CharacterTokenizer)
    assert isinstance(again.tokenizer, data.SymbolTokenizer)
    assert again.encoder_sequence_length == tiny.S
    assert again.decoder_sequence_length == tiny.T

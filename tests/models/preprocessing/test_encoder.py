"""From strings to ids for encoders, in Python and in a graph."""

import warnings

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import data, models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = tiny.TEXTS
PAD, START, END = 0, tiny.START, tiny.END


def make(tokenizer=None, **arguments):
    arguments = {"sequence_length": 11, **arguments}
    return models.RNNTextClassifierPreprocessor(
        tokenizer or tiny.make_text_tokenizer(), **arguments
    )


def word_piece():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "no", "##t", "at"]
    return keras_hub.tokenizers.WordPieceTokenizer(vocabulary=tokens)


TOKENIZERS = {
    "symbols": tiny.make_text_tokenizer,
    "characters": lambda: data.CharacterTokenizer.from_texts(TEXTS),
    "word_piece": word_piece,
    "unigram": lambda: data.train_subword_tokenizer(TEXTS, vocabulary_size=31),
    "byte_bpe": lambda: data.train_subword_tokenizer(TEXTS, vocabulary_size=270, model="byte_bpe"),
}


def in_graph(preprocessor, *samples):
    """What a `tf.data` pipeline makes of one batch of samples, NumPy."""
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(samples).batch(len(samples[0]))
    found = next(iter(dataset.map(preprocessor)))
    return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)


def assert_same(found, expected):
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)


def test_a_text_ends_with_its_end_token():
    tokenizer = tiny.make_text_tokenizer()
    packed = make()(["a good film", "good"])
    good, film = (tokenizer.token_to_id(word) for word in ("good", "film"))
    a = tokenizer.token_to_id("a")
    assert packed["token_ids"].tolist() == [[a, good, film, END, 0, 0, 0, 0], [good, END, *[0] * 6]]
    assert packed["padding_mask"].sum(axis=1).tolist() == [4, 2]
    assert packed["token_ids"].dtype == "int32" and packed["padding_mask"].dtype == "bool"


def test_special_tokens_may_be_chosen():
    tokenizer = tiny.make_text_tokenizer()
    good = tokenizer.token_to_id("good")
    for start in (False, True):
        for end in (False, True):
            packed = make(add_start=start, add_end=end)(["good"])
            ids = [START] * start + [good] + [END] * end
            assert packed["token_ids"][0].tolist() == ids + [PAD] * (8 - len(ids))
            assert packed["padding_mask"].sum() == len(ids)


def test_labels_and_weights_go_through():
    preprocessor = make()
    x, y = preprocessor(TEXTS, tiny.SENTIMENTS)
    assert y == tiny.SENTIMENTS
    assert x["token_ids"].shape == (6, 8)
    x, y, weight = preprocessor((TEXTS, [1] * 6, [0.5] * 6))
    assert weight == [0.5] * 6


def test_the_special_tokens_of_other_tokenizers_are_found():
    packed = make(word_piece(), add_start=True)(["not good"])
    assert packed["token_ids"].tolist() == [[2, 8, 9, 5, 3, 0, 0, 0]]
    bare = keras_hub.tokenizers.WordPieceTokenizer(
        vocabulary=["[PAD]", "[UNK]", "[CLS]", "a"], special_tokens=["[PAD]"]
    )
    message = "`end_token_id` or one of .*SEP.* Received: tokenizer=<WordPieceTokenizer"
    with pytest.raises(ValueError, match=message):
        make(bare)(["a"])


@pytest.mark.shared("torch")
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_graph_gives_the_same(name):
    preprocessor = make(TOKENIZERS[name](), add_start=True, truncate="silent")
    weights = np.arange(6, dtype="float32")
    found = in_graph(preprocessor, TEXTS, np.arange(6), weights)
    assert_same(found, preprocessor(TEXTS, np.arange(6), weights))
    assert found[0]["token_ids"].dtype == "int32"
    assert found[0]["padding_mask"].dtype == "bool"


def test_one_string_gives_one_row_of_the_longest_length():
    tf = pytest.importorskip("tensorflow")
    preprocessor = make()
    packed = preprocessor("a good film")
    assert packed["token_ids"].shape == (11,)
    np.testing.assert_array_equal(packed["token_ids"][:8], preprocessor(TEXTS[:1])["token_ids"][0])
    found = next(iter(tf.data.Dataset.from_tensor_slices(TEXTS[:1]).map(preprocessor)))
    assert_same({name: value.numpy() for name, value in found.items()}, packed)


def test_the_length_may_be_asked_for():
    preprocessor = make()
    assert preprocessor(TEXTS, sequence_length=7)["token_ids"].shape == (6, 7)
    assert preprocessor(["good"], sequence_length=11)["token_ids"].shape == (1, 11)
    with pytest.raises(ValueError, match="`sequence_length` must .* Received: sequence_length=-1"):
        preprocessor(TEXTS, sequence_length=-1)


LONG = ["good", "bad " * 7]


def test_a_text_that_is_too_long_is_cut_with_one_warning():
    preprocessor = make(sequence_length=5)
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 5 .* longest has 8"):
        packed = preprocessor(LONG)
    assert packed["token_ids"].shape == (2, 5)
    assert packed["token_ids"][1, -1] == END
    assert packed["padding_mask"][1].all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preprocessor(LONG)
        make(sequence_length=5, truncate="silent")(LONG)
        make(sequence_length=5)(LONG, truncate="silent")


@pytest.mark.graph
def test_a_graph_warns_once_too():
    preprocessor = make(sequence_length=5)
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 5 .* longest has 8"):
        found = in_graph(preprocessor, LONG)
    assert_same(found, preprocessor(LONG))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_graph(preprocessor, LONG)
        in_graph(make(sequence_length=5), ["good", "bad"])


def test_a_text_that_is_too_long_may_be_an_error():
    tf = pytest.importorskip("tensorflow")
    preprocessor = make(sequence_length=5, truncate="error")
    message = "at most 5 tokens, special ones counted. Received"
    with pytest.raises(ValueError, match=f"{message}: 8 tokens at position 1"):
        preprocessor(LONG)
    with pytest.raises(ValueError, match=f"{message}: 8 tokens at position 1"):
        preprocessor.check_texts(LONG)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{message} a text .*\\[8\\]"):
        in_graph(preprocessor, LONG)
    preprocessor.check_texts(TEXTS[:3])


def test_the_warning_is_no_part_of_a_graph_that_is_to_be_saved(tmp_path):
    tf = pytest.importorskip("tensorflow")
    preprocessor = make(sequence_length=5)
    module = tf.Module()
    module.table = preprocessor.tokenizer.lookup_table
    module.run = tf.function(
        lambda texts: preprocessor(texts, truncate="silent"),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    found = tf.saved_model.load(str(tmp_path)).run(tf.constant(LONG))
    expected = preprocessor(LONG, truncate="silent")
    assert_same({name: value.numpy() for name, value in found.items()}, expected)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_text_is_refused(empty):
    message = "A text must have at least one symbol. Received: '\\s*' at position 1"
    with pytest.raises(ValueError, match=message):
        make()(["good", empty])
    with pytest.raises(ValueError, match=message):
        make().check_texts(["good", empty])
    with pytest.raises(ValueError, match="There must be at least one text. Received: none"):
        make().check_texts([])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sequence_length": 0}, "`sequence_length` must .* Received: sequence_length=0"),
        ({"sequence_length": 1}, "room beside 1 special .* Received: sequence_length=1"),
        ({"sequence_length": 2, "add_start": True}, "beside 2 special .* sequence_length=2"),
        ({"truncate": "cut"}, "'silent'.. Received: truncate='cut'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_tokens_are_labels():
    assert make().tokens("a good day") == ["a", "good", "[UNK]", "[END]"]
    assert make(sequence_length=3).tokens("a good film") == ["a", "good", "[END]"]
    assert make(add_start=True).tokens("good") == ["[START]", "good", "[END]"]


def test_the_config_holds_all_arguments():
    preprocessor = make(add_start=True, add_end=False, truncate="error", sequence_length=7)
    again = models.RNNTextClassifierPreprocessor.from_config(preprocessor.get_config())
    assert isinstance(again.tokenizer, data.SymbolTokenizer)
    for name in ("add_start", "add_end", "truncate", "sequence_length"):
        assert getattr(again, name) == getattr(preprocessor, name)


def test_a_tokenizer_larger_than_its_embedding_is_refused():
    backbone = models.RNNEncoderBackbone(tiny.TEXT_VOCABULARY - 1, embedding_dim=5, hidden_dim=6)
    with pytest.raises(ValueError, match="`vocabulary_size` must .* 11. Received: .*=10"):
        models.RNNTextClassifier(backbone, make(), num_classes=3)


def test_arrays_and_tensors_of_strings_are_texts():
    tf = pytest.importorskip("tensorflow")
    expected = make()(TEXTS)
    assert_same(make()(np.array(TEXTS)), expected)
    assert_same(tools.to_numpy(make()(tf.constant(TEXTS))), expected)

"""From words with tags to ids, in Python and in a graph."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import data, models
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = ["the cats sit", "cats", "the dog sits down"]
TAGS = [[0, 1, 2], [1], [0, 1, 2, 3]]


def word_piece():
    tokens = ["[PAD]", "[UNK]", "[START]", "[END]", "the", "cat", "##s", "sit", "dog"]
    return keras_hub.tokenizers.WordPieceTokenizer(vocabulary=tokens)


TOKENIZERS = {
    "symbols": lambda: data.SymbolTokenizer.from_texts(TEXTS),
    "characters": lambda: data.CharacterTokenizer.from_texts(TEXTS),
    "word_piece": word_piece,
    "unigram": lambda: data.train_subword_tokenizer(TEXTS, vocabulary_size=23),
    "byte_bpe": lambda: data.train_subword_tokenizer(TEXTS, vocabulary_size=263, model="byte_bpe"),
}


def make(name="word_piece", **arguments):
    arguments = {"sequence_length": 23, **arguments}
    return models.RNNTokenTaggerPreprocessor(TOKENIZERS[name](), **arguments)


def in_graph(preprocessor, texts, tags, *weights):
    """What a `tf.data` pipeline makes of one batch, NumPy."""
    tf = pytest.importorskip("tensorflow")
    samples = tf.constant(texts), tf.ragged.constant(tags, dtype="int32"), *weights
    dataset = tf.data.Dataset.from_tensor_slices(samples).batch(len(texts))
    found = next(iter(dataset.map(preprocessor)))
    return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)


def test_the_first_piece_of_a_word_has_its_tag():
    x, y, weight = make()(TEXTS, TAGS)
    assert x["token_ids"].tolist() == [
        [4, 5, 6, 7, 3, 0, 0, 0],
        [5, 6, 3, 0, 0, 0, 0, 0],
        [4, 8, 7, 6, 1, 3, 0, 0],
    ]
    assert y.tolist() == [
        [0, 1, 0, 2, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 0, 0, 0],
    ]
    assert weight.tolist() == [
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 1, 0, 0, 0],
    ]
    assert y.dtype == "int32" and weight.dtype == "float32"


def test_a_start_token_moves_the_tags_too():
    x, y, weight = make("symbols", add_start=True, add_end=False)(TEXTS[:1], TAGS[:1])
    assert y[0, :4].tolist() == [0, 0, 1, 2]
    assert weight[0].tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert x["padding_mask"].sum() == 4


def test_weights_of_texts_are_weights_of_their_words():
    _, _, weight = make("symbols")(TEXTS, TAGS, np.array([2.0, 0.0, 0.5]))
    assert weight.sum(axis=1).tolist() == [6, 0, 2]


@pytest.mark.shared("torch")
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_graph_gives_the_same(name):
    preprocessor = make(name, add_start=True)
    weights = np.array([2.0, 1.0, 0.5], dtype="float32")
    found = in_graph(preprocessor, TEXTS, TAGS, weights)
    expected = preprocessor(TEXTS, TAGS, weights)
    keras.tree.map_structure(np.testing.assert_array_equal, found, expected)
    assert expected[2].sum() == 3 * 2.0 + 1 + 4 * 0.5


def test_long_texts_are_cut_with_their_tags():
    preprocessor = make("symbols", sequence_length=3)
    with pytest.warns(UserWarning, match="2 of 3 texts have more than 3 tokens"):
        _, y, weight = preprocessor(TEXTS, TAGS)
    assert y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert weight.sum(axis=1).tolist() == [2, 1, 2]


def test_one_string_gives_one_row():
    x, y, weight = make("symbols")("the cats sit", [0, 1, 2])
    assert x["token_ids"].shape == y.shape == weight.shape == (23,)
    assert set(make("symbols")("the cats sit")) == {"token_ids", "padding_mask"}


def test_more_or_fewer_tags_than_words_are_refused():
    tf = pytest.importorskip("tensorflow")
    message = "as many tags as words. Received"
    wrong = [*TAGS[:2], [0, 1]]
    with pytest.raises(ValueError, match=f"{message}: 4 words, 2 tags at position 2"):
        make()(TEXTS, wrong)
    with pytest.raises(ValueError, match=f"{message}: 4 words, 2 tags at position 2"):
        make().check_labels(TEXTS, wrong)
    with pytest.raises(ValueError, match="must be in a list, .* Received: 7 at position 0"):
        make()(TEXTS, [7, *wrong[1:]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{message} words and tags"):
        in_graph(make(), TEXTS, wrong)


def test_a_word_that_gives_no_token_is_refused():
    tf = pytest.importorskip("tensorflow")

    class Forgetful(data.SymbolTokenizer):
        def tokenize(self, inputs):
            ids = super().tokenize(inputs)
            if isinstance(ids, tf.RaggedTensor):
                return tf.ragged.boolean_mask(ids, ids > 4)
            return [[i for i in row if i > 4] for row in ids]

    tokenizer = Forgetful(tiny.make_text_tokenizer().get_vocabulary())
    preprocessor = models.RNNTokenTaggerPreprocessor(tokenizer)
    forgotten = tokenizer.id_to_token(4)
    with pytest.raises(ValueError, match=f"one token. Received: '{forgotten}' at position 1"):
        preprocessor(["good", f"good {forgotten}"])
    with pytest.raises(ValueError, match=f"'{forgotten}' at position 1. Take it out of the text"):
        preprocessor.check_labels(["good", f"good {forgotten}"], [[0], [0, 0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one token. Received:"):
        in_graph(preprocessor, ["good", f"good {forgotten}"], [[0], [0, 0]])


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="at least one symbol. Received: ' ' at position 0"):
        make()([" "])


@pytest.mark.parametrize("name", ["symbols", "word_piece"])
def test_the_first_piece_of_a_word_has_its_bytes(name):
    texts, tags = ["cats Größe", "the"], [[0, 1], [2]]
    preprocessor = make(name, word_length=5, add_start=True, sequence_length=8)
    x, y, weight = preprocessor(texts, tags)
    assert x["word_bytes"].shape == (2, 8, 5) and x["word_bytes"].dtype == "int32"
    spelled = x["word_bytes"][0][weight[0] > 0].tolist()
    assert spelled == [[99, 97, 116, 115, 0], list("Größe".encode()[:5])]
    assert not x["word_bytes"][weight == 0].any()
    found = in_graph(preprocessor, texts, tags)
    keras.tree.map_structure(np.testing.assert_array_equal, found, (x, y, weight))


def test_a_cut_text_has_the_bytes_of_what_is_left():
    preprocessor = make("symbols", word_length=5, sequence_length=3, truncate="silent")
    x, y, weight = preprocessor(TEXTS, TAGS)
    assert x["word_bytes"].shape == (3, 3, 5)
    assert (x["word_bytes"].any(axis=-1) == (weight > 0)).all()


def test_backbone_and_preprocessor_agree_on_spelling():
    backbone = models.RNNEncoderBackbone(23, embedding_dim=5, hidden_dim=6, spelling_dim=7)
    with pytest.raises(ValueError, match="Received: spelling_dim=7, word_length=None"):
        models.RNNTokenTagger(backbone, make(), num_classes=2)
    with pytest.raises(ValueError, match="Received: spelling_dim=None, word_length=3"):
        models.RNNTokenTagger(tiny.make_encoder(), make(word_length=3), num_classes=2)
    with pytest.raises(ValueError, match="`word_length` must be .* Received: word_length=0"):
        make(word_length=0)
    with pytest.raises(ValueError, match="`spelling_dim` must be .* Received: spelling_dim=0"):
        models.RNNEncoderBackbone(23, spelling_dim=0)

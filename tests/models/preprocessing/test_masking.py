"""Which tokens are hidden, and behind what: the same in Python and in a graph."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import models
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

MASK = 11  # The id that follows the vocabulary.


def make(tokenizer=None, **arguments):
    arguments = {"sequence_length": 200, "seed": 1, **arguments}
    tokenizer = tokenizer or tiny.make_text_tokenizer()
    return models.TransformerMaskedLMPreprocessor(tokenizer, **arguments)


def hide(preprocessor, texts, graph):
    """What it gives, and what the texts were."""
    whole = preprocessor.pack_texts(texts)["token_ids"]
    if not graph:
        return whole, *preprocessor(texts)
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(len(texts)).map(preprocessor)
    x, y, weight = next(iter(dataset))
    return whole, {name: value.numpy() for name, value in x.items()}, y.numpy(), weight.numpy()


@pytest.mark.parametrize("graph", [False, True])
def test_the_right_number_of_tokens_is_hidden(graph):
    texts = ["bad " * 100, "good film " * 20, "a"]
    whole, x, y, weight = hide(make(add_start=True), texts, graph)
    assert x["token_ids"].shape == (3, 112) and y.shape == (3, 17)
    assert weight.sum(axis=1).tolist() == [15, 6, 1]
    for row in range(3):
        places = x["mask_positions"][row][weight[row] == 1]
        assert len(set(places)) == len(places)
        np.testing.assert_array_equal(y[row][weight[row] == 1], whole[row][places])
        untouched = np.delete(np.arange(112), places)
        np.testing.assert_array_equal(x["token_ids"][row][untouched], whole[row][untouched])
        assert (whole[row][places] > 3).all()  # No special token.


@pytest.mark.parametrize("graph", [False, True])
def test_eight_of_ten_become_the_mask_and_one_another(graph):
    draw = np.random.default_rng(0)
    words = tiny.make_text_tokenizer().get_vocabulary()[4:]
    texts = [" ".join(draw.choice(words, 199)) for _ in range(60)]
    whole, x, y, weight = hide(make(mask_rate=1.0), texts, graph)
    assert weight.sum() == 60 * 199
    ids = x["token_ids"][whole > 3]
    masks, same = np.mean(ids == MASK), np.mean(ids == whole[whole > 3])
    error = 4 * np.sqrt(0.25 / ids.size)
    assert abs(masks - 0.8) < error
    assert abs(same - (0.1 + 0.1 / 7)) < error  # Another token may be the same one.
    assert set(np.unique(ids)) == set(range(4, 12))


@pytest.mark.parametrize("graph", [False, True])
def test_any_other_token_is_as_likely(graph):
    rates = {"mask_rate": 1.0, "mask_token_rate": 0.8, "random_token_rate": 0.2}
    _, x, _, _ = hide(make(**rates), ["bad " * 199] * 60, graph)
    counts = np.bincount(x["token_ids"][x["token_ids"] > 3], minlength=12)[4:11]
    expected = 0.2 * 60 * 199 / 7
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


@pytest.mark.rotates
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("seed", [None, 3])
def test_the_same_seeds_hide_the_same(graph, seed):
    def hidden(global_seed):
        keras.utils.set_random_seed(global_seed)
        return hide(make(seed=seed), ["good film " * 40] * 3, graph)[1]["token_ids"]

    one = hidden(5)
    np.testing.assert_array_equal(hidden(5), one)
    assert (hidden(6) != one).any() == (seed is None)


@pytest.mark.rotates
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("seed", [None, 1])
def test_it_differs_from_time_to_time(graph, seed):
    keras.utils.set_random_seed(2)
    preprocessor = make(seed=seed)
    texts = ["good film " * 40]
    one, other = (hide(preprocessor, texts, graph)[1]["token_ids"] for _ in range(2))
    assert (one != other).any()
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(1).map(preprocessor)
    passes = [x["token_ids"].numpy() for _ in range(2) for x, _, _ in dataset.repeat(2)]
    assert len({one.tobytes() for one in passes}) == 4


def test_one_string_and_weights():
    x, y, weight = make()("a good film")
    assert x["token_ids"].shape == (200,) and y.shape == weight.shape == (30,)
    weight = make()(["a good film", "good"], sample_weight=[0.5, 2.0])[2]
    assert weight.tolist() == [[0.5], [2.0]]
    assert make().tokens("a film") == ["a", "film", "[END]"]


def test_what_nobody_knows_is_no_lesson():
    _, _, weight = make()(["strange words", "a"])
    assert weight.tolist() == [[0.0], [1.0]]


def test_a_mask_token_of_the_tokenizer_is_taken():
    vocabulary = ["[PAD]", "[UNK]", "[START]", "[END]", "cat", "##s", "[MASK]"]
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(vocabulary=vocabulary)
    preprocessor = make(tokenizer, mask_rate=1.0, mask_token_rate=1.0, random_token_rate=0.0)
    x, y, _ = preprocessor(["cats"])
    assert x["token_ids"][0, :3].tolist() == [6, 6, 3] and sorted(y[0, :2]) == [4, 5]
    backbone = models.TransformerEncoderBackbone(7, hidden_dim=8, num_heads=2, num_layers=1)
    preprocessor.check_vocabulary(backbone)
    with pytest.raises(ValueError, match="one more than its 11 tokens. Rec.* vocabulary_size=11"):
        make().check_vocabulary(models.TransformerEncoderBackbone(11, hidden_dim=8, num_layers=1))


def test_masks_may_be_written_into_a_text():
    packed = make(sequence_length=8).pack_masks(["a [MASK] film", "[MASK] bad [MASK] [MASK]"])
    good = tiny.make_text_tokenizer().token_to_id
    assert packed["token_ids"][0, :4].tolist() == [good("a"), MASK, good("film"), 3]
    assert packed["mask_positions"].tolist() == [[1, 0, 0], [0, 2, 3]]
    assert packed["is_mask"].tolist() == [[True, False, False], [True, True, True]]
    with pytest.raises(ValueError, match=r"must have a \[MASK\] .* Received: 'a' at position 1"):
        make().pack_masks(["[MASK]", "a"])


@pytest.mark.shared("torch")
def test_masks_are_the_same_in_a_graph_where_texts_may_have_none():
    tf = pytest.importorskip("tensorflow")
    texts = ["a [MASK]film", "[MASK][MASK] bad", "[MASK]"]
    preprocessor = make(sequence_length=11, add_start=True)
    pack = tf.function(preprocessor.pack_masks)
    for name, value in pack(tf.constant(texts)).items():
        assert np.array_equal(value.numpy(), preprocessor.pack_masks(texts)[name])
    packed = pack(tf.constant(["film", ""]))
    assert packed["token_ids"].numpy()[1].tolist() == [2, 3] + [0] * 6
    assert packed["mask_positions"].numpy().tolist() == [[0], [0]]
    assert not packed["is_mask"].numpy().any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_rate": 0.0}, r"`mask_rate` must be in \(0, 1\]. Received: mask_rate=0.0"),
        ({"mask_token_rate": -0.1}, "at least 0. Received: mask_token_rate=-0.1, random"),
        ({"mask_token_rate": 0.95}, "at most 1 together. Received: mask_token_rate=0.95, random"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_labels_are_refused():
    with pytest.raises(ValueError, match="`y` must be None. Received: y of type list"):
        make()(["a"], [1])


def test_its_config_makes_it_again():
    arguments = {"mask_rate": 0.3, "mask_token_rate": 0.5, "random_token_rate": 0.2, "seed": 7}
    config = make(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    again = models.TransformerMaskedLMPreprocessor.from_config(config)
    assert again.mask_rate == 0.3

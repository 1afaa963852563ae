"""The two forms of preprocessing give the same, in Python and in a graph, for random texts."""

import inspect

import keras
import numpy as np
import pytest

from attnzoo import data, models
from attnzoo.models.preprocessing import eager, graph
from attnzoo.models.preprocessing.class_labels import ClassLabels

pytestmark = [pytest.mark.backend_free, pytest.mark.graph]

SYMBOLS = ["a", "good", "film", "ä", "Ö", "unseen", "x"]
SPACES = [" ", "  ", "\t", "\u3000"]
S = 9  # Some texts are longer.


def make_texts(draw, count=5, masks=False):
    texts = []
    for _ in range(count):
        words = draw.choice(SYMBOLS, draw.integers(1, 13)).tolist()
        if masks:
            words.insert(int(draw.integers(0, min(len(words), S - 2))), "[MASK]")
        texts.append(draw.choice(SPACES).join(words))
    return texts


def make_tokenizer(cls=data.SymbolTokenizer):
    return cls.from_texts(["a good film ä Ö x"])


def in_both_forms(function, *arguments):
    """The results of a function, in NumPy: called eagerly, and traced with all sizes free."""
    import tensorflow as tf

    def as_tensor(value):
        if isinstance(value, list) and isinstance(value[0], list):
            return tf.ragged.constant(value)
        return tf.constant(value)

    tensors = [as_tensor(one) for one in arguments]
    specs = [tf.type_spec_from_value(one) for one in tensors]
    free = [
        tf.TensorSpec([None] * spec.shape.rank, spec.dtype)
        if isinstance(spec, tf.TensorSpec)
        else spec
        for spec in specs
    ]
    traced = tf.function(function, input_signature=free, autograph=False)(*tensors)
    return function(*arguments), keras.tree.map_structure(_as_numpy, traced)


def _as_numpy(one):
    return one if one is None else one.numpy()


def assert_same(plain, traced):
    keras.tree.assert_same_structure(plain, traced)
    for one, other in zip(keras.tree.flatten(plain), keras.tree.flatten(traced), strict=True):
        np.testing.assert_array_equal(one, other)
        if hasattr(one, "dtype"):
            assert one.dtype == other.dtype


def test_both_forms_have_the_same_functions():
    def functions(module):
        found = inspect.getmembers(module, inspect.isfunction)
        return {
            name: list(inspect.signature(one).parameters)
            for name, one in found
            if one.__module__ == module.__name__ and not name.startswith("_")
        }

    own = {name: one for name, one in functions(graph).items() if name != "as_ragged"}
    assert own == {name: one for name, one in functions(eager).items() if name != "check_as_many"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ends", [{}, {"add_start": True}, {"add_end": False}])
def test_texts(seed, ends):
    preprocessor = models.RNNTextClassifierPreprocessor(
        make_tokenizer(), sequence_length=S, truncate="silent", **ends
    )
    assert_same(*in_both_forms(preprocessor, make_texts(np.random.default_rng(seed))))


@pytest.mark.parametrize("seed", range(3))
def test_words_with_tags(seed):
    draw = np.random.default_rng(seed)
    tokenizer = make_tokenizer() if seed else make_subword_tokenizer()
    preprocessor = models.RNNTokenTaggerPreprocessor(
        tokenizer, sequence_length=S, truncate="silent"
    )
    texts = make_texts(draw)
    words = eager.split_words(texts)
    tags = [draw.integers(0, 5, len(row)).tolist() for row in words]
    weights = draw.random(5).astype("float32")
    assert_same(*in_both_forms(lambda x, y, w: preprocessor(x, y, w), texts, tags, weights))
    assert_same(*in_both_forms(preprocessor.pack_words, texts))


def make_subword_tokenizer():
    import keras_hub

    pieces = ["[PAD]", "[UNK]", "[START]", "[END]", "a", "go", "##od", "film", "x", "##x", "un"]
    return keras_hub.tokenizers.WordPieceTokenizer([*pieces, "##seen", "ä", "ö"], lowercase=True)


@pytest.mark.parametrize("seed", range(3))
def test_masks(seed):
    draw = np.random.default_rng(seed)
    preprocessor = models.TransformerMaskedLMPreprocessor(
        make_tokenizer(), sequence_length=S, truncate="silent"
    )
    assert_same(*in_both_forms(preprocessor.pack_masks, make_texts(draw, masks=True)))


@pytest.mark.parametrize("rate", [0.15, 1.0])
def test_hidden_tokens_are_as_many_and_as_they_were(rate):
    preprocessor = models.TransformerMaskedLMPreprocessor(
        make_tokenizer(), sequence_length=S, truncate="silent", mask_rate=rate, random_token_rate=0
    )
    texts = make_texts(np.random.default_rng(0))
    whole = preprocessor.pack_texts(texts)["token_ids"]
    for x, y, weight in in_both_forms(preprocessor, texts):
        hidden = np.count_nonzero(weight, axis=1)
        may = np.isin(whole, preprocessor.ordinary_token_ids).sum(axis=1)
        np.testing.assert_array_equal(hidden, np.minimum(np.maximum(np.rint(rate * may), 1), may))
        there = np.take_along_axis(whole, x["mask_positions"], axis=1)
        np.testing.assert_array_equal(np.where(weight > 0, there, 0), y)
        assert weight.dtype == "float32"
        assert y.dtype == x["token_ids"].dtype == x["mask_positions"].dtype == "int32"


@pytest.mark.parametrize("seed", range(3))
def test_texts_and_partners(seed):
    draw = np.random.default_rng(seed)
    preprocessor = models.TransformerSentenceEmbedderPreprocessor(
        make_tokenizer(), sequence_length=S, truncate="silent"
    )
    weights = draw.random(5).astype("float32")
    arguments = make_texts(draw), make_texts(draw), weights
    assert_same(*in_both_forms(preprocessor.pack_pairs, *arguments))


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_and_outputs(seed, copies):
    draw = np.random.default_rng(seed)
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        make_tokenizer(),
        make_tokenizer(),
        encoder_sequence_length=S,
        decoder_sequence_length=7,
        pointer_generator=copies,
        truncate="silent",
    )
    sources, targets = make_texts(draw), make_texts(draw)
    weights = draw.random(5).astype("float32")
    pack = lambda *pair: preprocessor(*pair, encoder_sequence_length=S)  # noqa: E731
    assert_same(*in_both_forms(pack, sources, targets, weights))
    begin = lambda x: preprocessor.generate_preprocess(x, encoder_sequence_length=S)  # noqa: E731
    assert_same(*in_both_forms(begin, sources))
    ids = draw.integers(0, 10 + copies * S, (5, 7)).astype("int32")
    mask = np.arange(7) < draw.integers(0, 8, (5, 1))

    def spell(ids, mask, sources):
        outputs = {"decoder_token_ids": ids, "decoder_padding_mask": mask}
        return preprocessor.generate_postprocess({**outputs, "encoder_text": sources})

    plain, traced = in_both_forms(spell, ids, mask, sources)
    assert plain == [text.decode() for text in traced]


@pytest.mark.parametrize("separated", [False, True])
def test_labels(separated):
    classes = ClassLabels(["a", "b", "ä"], separated=separated)
    labels = ["b ä", "a"] if separated else ["b", "ä", "a"]
    import tensorflow as tf

    traced = tf.function(classes.ids, autograph=False)(tf.constant(labels))
    traced = traced.to_list() if separated else traced.numpy().tolist()
    assert traced == classes.ids(labels)

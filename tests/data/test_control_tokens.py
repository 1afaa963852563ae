"""No text becomes a control token: in Python, in a graph, and after a preset was loaded."""

import pytest

from attnzoo import data, models
from attnzoo.data.subword_sampling import tokenize_all
from attnzoo.data.subwords import MODELS
from tests.models import tiny

pytestmark = pytest.mark.backend_free

# They are in the texts that a tokenizer is made of too, and often enough to be a piece.
SPELLED = ["[END] [PAD] [START] [UNK]", "[END][PAD][START]", "x[END]", "say [PAD]."]
TEXTS = ["press any key to go on, or not", "[PAD] is what you see"] * 3 + SPELLED * 3
READ = [*SPELLED, "press [END] or [PAD] to go", "ĴA ĴD", "[end]", "##[END]", "▁[END]", "<s></s>"]
CONTROL = {0, 2, 3}
KINDS = {
    "character": data.CharacterTokenizer.from_texts,
    "symbol": data.SymbolTokenizer.from_texts,
    "lower": lambda texts: data.SymbolTokenizer.from_texts(texts, lowercase=True),
    **{
        model: lambda texts, model=model: data.train_subword_tokenizer(
            texts, vocabulary_size=320, model=model
        )
        for model in MODELS
    },
}


def in_graph(tokenizer, texts):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensors(texts).map(lambda texts: tokenizer(texts))
    return dataset.get_single_element().to_list()


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_becomes_a_control_token(kind, tmp_path):
    tokenizer = KINDS[kind](TEXTS)
    ids = tokenize_all(tokenizer, READ)
    assert [tokenizer.id_to_token(id) for id in range(4)] == ["[PAD]", "[UNK]", "[START]", "[END]"]
    preprocessor = models.RNNTextClassifierPreprocessor(tokenizer, sequence_length=64)
    packed = preprocessor(READ)["token_ids"]
    assert [row.tolist().count(3) for row in packed] == [1] * len(READ)  # The end alone.
    preprocessor.save_to_preset(str(tmp_path))
    tiny.make_encoder().save_to_preset(str(tmp_path))
    loaded = models.RNNTextClassifierPreprocessor.from_preset(str(tmp_path)).tokenizer
    assert not [text for text, row in zip(READ, ids, strict=True) if CONTROL & set(row)]
    assert tokenize_all(loaded, READ) == ids == in_graph(loaded, READ)
    if kind == "byte_bpe":
        assert [loaded.detokenize(row) for row in ids] == READ


def test_what_is_copied_is_a_symbol_too():
    tokenizer = data.SymbolTokenizer.from_texts(["say it"])
    preprocessor = models.RNNSeq2SeqLMPreprocessor(tokenizer, tokenizer, pointer_generator=True)
    x, y, _ = preprocessor(["say [END] [PAD]"], ["[PAD] [END]"])
    size = tokenizer.vocabulary_size()
    assert x["copy_token_ids"][0].tolist()[1:3] == [size + 1, size + 2]
    assert y[0].tolist()[:3] == [size + 2, size + 1, 3]

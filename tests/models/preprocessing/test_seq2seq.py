"""What the seq2seq preprocessors of all families do with one tokenizer and with long texts."""

import warnings

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import data, models
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

WORDS = ["cat", "hat", "that", "chat"]
SPELLED = [" ".join(word) for word in WORDS]
TOKENIZERS = {
    "characters": (data.CharacterTokenizer.from_texts, WORDS),
    "symbols": (data.SymbolTokenizer.from_texts, SPELLED),
    "unigram": (lambda texts: data.train_subword_tokenizer(texts, vocabulary_size=17), WORDS),
    "byte_bpe": (
        lambda texts: data.train_subword_tokenizer(texts, vocabulary_size=270, model="byte_bpe"),
        WORDS,
    ),
}


def make_task(family, source_tokenizer, tokenizer, **arguments):
    """A task whose weights are set."""
    backbone = getattr(models, f"{family}Seq2SeqBackbone")(
        source_tokenizer.vocabulary_size(), tokenizer.vocabulary_size(), **tiny.FAMILIES[family]
    )
    cls = getattr(models, f"{family}Seq2SeqLM")
    lengths = {"encoder_sequence_length": 11, "decoder_sequence_length": 7}
    preprocessor = cls.preprocessor_cls(source_tokenizer, tokenizer, **{**lengths, **arguments})
    task = cls(backbone, preprocessor)
    tools.set_weights(task, scale=1.0)
    return task


# === One tokenizer ===


@pytest.mark.rotates
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_one_tokenizer_for_both_sides_survives_a_preset(family, name, tmp_path):
    make, texts = TOKENIZERS[name]
    tokenizer = make(texts)
    task = make_task(family, tokenizer, tokenizer)
    expected = task.generate(texts, return_scores=True)
    for place in ("first", "second"):
        task.save_to_preset(str(tmp_path / place))
        task = keras_hub.models.Seq2SeqLM.from_preset(str(tmp_path / place))
        assert task.preprocessor.source_tokenizer is not task.preprocessor.tokenizer
        found = task.generate(texts, return_scores=True)
        assert found["outputs"] == expected["outputs"]
        np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5)
        assert task.preprocessor.tokens(texts[2], "source")[-1] == "[END]"


def test_two_tokenizers_may_serve_both_directions(tmp_path):
    characters = data.CharacterTokenizer.from_texts(tiny.WORDS)
    symbols = data.SymbolTokenizer.from_texts(tiny.PHONEMES)
    there = make_task("RNN", characters, symbols)
    back = make_task("RNN", symbols, characters)
    for name, task, words in (("there", there, tiny.WORDS), ("back", back, tiny.PHONEMES)):
        task.save_to_preset(str(tmp_path / name))
        again = models.RNNSeq2SeqLM.from_preset(tmp_path / name)
        assert again.generate(words) == task.generate(words)


# === Long texts ===

LONG = ["cat", "chat" * 5]  # Of 4 and 21 tokens with the end token.
TARGETS = ["K AE T", "CH AE T " * 3]  # Of 4 and 10.
SOURCES_CUT = "1 of 2 sources have more than 11 tokens.* cut; the longest has 21"
TARGETS_CUT = "1 of 2 targets have more than 7 tokens.* cut; the longest has 10"
REFUSED = {
    "source": "A source must have at most 11 tokens.* Received: 21 tokens at position 1",
    "target": "A target must have at most 7 tokens.* Received: 10 tokens at position 1",
}


def make(family="RNN", **arguments):
    return make_task(
        family,
        data.CharacterTokenizer.from_texts(tiny.WORDS),
        data.SymbolTokenizer.from_texts(tiny.PHONEMES),
        **arguments,
    )


def make_preprocessor(**arguments):
    arguments = {"encoder_sequence_length": 11, "decoder_sequence_length": 7, **arguments}
    return models.RNNSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(tiny.WORDS),
        data.SymbolTokenizer.from_texts(tiny.PHONEMES),
        **arguments,
    )


def caught(run):
    """The messages of the warnings that a function gives, and what it returns."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = run()
    messages = [str(one.message) for one in found if issubclass(one.category, UserWarning)]
    return [message for message in messages if "were cut" in message], result


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_long_texts_are_cut_with_one_warning_for_each_side(family):
    preprocessor = make(family).preprocessor
    with (
        pytest.warns(UserWarning, match=SOURCES_CUT),
        pytest.warns(UserWarning, match=TARGETS_CUT),
    ):
        found = preprocessor(LONG, TARGETS)
    x, y, weight = tools.to_numpy(found)
    assert x["encoder_token_ids"].shape == (2, 11) and y.shape == (2, 7)
    assert x["encoder_token_ids"][1, -1] == y[1, -1] == tiny.END
    messages, _ = caught(lambda: preprocessor(LONG, TARGETS))
    assert messages == []
    silent = make(family, truncate="silent").preprocessor
    messages, again = caught(lambda: silent(LONG, TARGETS))
    assert messages == []
    keras.tree.map_structure(
        np.testing.assert_array_equal, tools.to_numpy(again), tools.to_numpy(found)
    )


def test_what_just_fits_is_not_long():
    preprocessor = make(truncate="error").preprocessor
    x, y, _ = tools.to_numpy(preprocessor(["c" * 10], ["K " * 6]))
    assert x["encoder_padding_mask"].all() and y[0, -1] == tiny.END
    given = {"encoder_text": ["cat"], "decoder_text": ["K " * 6]}
    x = tools.to_numpy(preprocessor.generate_preprocess(given))
    assert x["decoder_padding_mask"].all()
    with pytest.raises(ValueError, match="at most 11 tokens.* Received: 12 tokens at position 0"):
        preprocessor(["c" * 11], ["K"])
    given["decoder_text"] = ["K " * 7]
    with pytest.raises(ValueError, match="at most 7 tokens.* Received: 8 tokens at position 0"):
        preprocessor.generate_preprocess(given)


@pytest.mark.everywhere
@pytest.mark.parametrize("truncate", ["warn", "error"])
def test_generation_and_alignments_see_long_texts(truncate):
    task = make(truncate=truncate)
    pairs = {"encoder_text": LONG, "decoder_text": TARGETS}
    if truncate == "error":
        for run in (task.generate, lambda texts: task.generate(texts, return_scores=True)):
            with pytest.raises(ValueError, match=REFUSED["source"]):
                run(LONG)
        with pytest.raises(ValueError, match=REFUSED["target"]):
            task.alignments({**pairs, "encoder_text": ["cat", "hat"]})
        with pytest.raises(ValueError, match=REFUSED["target"]):
            task.generate({**pairs, "encoder_text": ["cat", "hat"]})
        return
    with pytest.warns(UserWarning, match=SOURCES_CUT):
        assert len(task.generate(LONG)) == 2
    with pytest.warns(UserWarning, match=TARGETS_CUT):
        assert task.alignments(pairs).shape == (2, 7, 11)


@pytest.mark.shared("torch")
def test_training_sees_long_texts():
    pytest.importorskip("tensorflow")
    task = make()
    messages, _ = caught(lambda: task.fit(LONG, TARGETS, epochs=2, verbose=0))
    assert len(messages) == 2
    assert "longest has 21" in "".join(messages) and "longest has 10" in "".join(messages)
    task = make(truncate="error")
    for texts in (
        (LONG, ["K", "K"]),
        ({"encoder_text": LONG, "decoder_text": ["K", "K"]},),
        (np.array(LONG), np.array(["K", "K"])),
    ):
        with pytest.raises(ValueError, match=REFUSED["source"]):
            task.fit(*texts, verbose=0)
    with pytest.raises(ValueError, match=REFUSED["target"]):
        task.fit(["cat", "hat"], y=TARGETS, verbose=0)
    task.fit(["cat", "hat"], ["K AE T", "HH AE T"], verbose=0)


@pytest.mark.shared("torch")
@pytest.mark.parametrize("pointer_generator", [False, True])
def test_a_graph_warns_once_and_may_raise(pointer_generator):
    tf = pytest.importorskip("tensorflow")
    pairs = tf.data.Dataset.from_tensor_slices((LONG, TARGETS))

    def run(preprocessor, batched=True):
        dataset = (pairs.batch(2) if batched else pairs).map(preprocessor)
        found = next(iter(dataset))
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), found)

    arguments = {"pointer_generator": pointer_generator}
    silent = make_preprocessor(truncate="silent", **arguments)
    preprocessor = make_preprocessor(**arguments)
    messages, found = caught(lambda: run(preprocessor))
    assert sorted("target" in message for message in messages) == [False, True]
    assert "longest has 21" in "".join(messages) and "longest has 10" in "".join(messages)
    expected = silent(LONG, TARGETS)
    keras.tree.map_structure(np.testing.assert_array_equal, found, tools.to_numpy(expected))
    messages, _ = caught(lambda: run(preprocessor))
    assert messages == []
    one = run(silent, batched=False)
    keras.tree.map_structure(
        lambda row, rows: np.testing.assert_array_equal(row, rows[0]), one, found
    )
    for batched in (True, False):
        strict = make_preprocessor(truncate="error", decoder_sequence_length=3, **arguments)
        message = "A target must have at most 3 .* a target with this many"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            few = pairs.take(1)
            next(iter((few.batch(1) if batched else few).map(strict)))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_preset_keeps_what_happens_to_long_texts(family, tmp_path):
    task = make(family, truncate="error")
    task.save_to_preset(str(tmp_path))
    again = type(task).from_preset(tmp_path)
    assert again.preprocessor.truncate == "error"
    config = task.preprocessor.get_config()
    del config["truncate"]  # As presets were before.
    assert type(task.preprocessor).from_config(config).truncate == "warn"
    with pytest.raises(ValueError, match="'silent'.. Received: truncate='cut'"):
        make(family, truncate="cut")

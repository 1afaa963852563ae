"""Batches of labelled texts: what they hold, and in which order they come."""

import warnings

import keras
import numpy as np
import pytest

from attnzoo.data import LabelledBatches, SymbolTokenizer, train_subword_tokenizer
from attnzoo.models import (
    RNNEncoderBackbone,
    RNNTextClassifier,
    RNNTextClassifierPreprocessor,
)

pytestmark = pytest.mark.shared("torch")

# Text i has i + 1 words; its label says which it is.
TEXTS = [" ".join(["a"] * (i + 1)) for i in range(20)]
LABELS = list(range(20))


@pytest.fixture(scope="module")
def preprocessor():
    return RNNTextClassifierPreprocessor(SymbolTokenizer.from_texts(TEXTS), sequence_length=32)


def orders(batches, epochs=1):
    found = []
    for _ in range(epochs):
        found.append([batches[i][1].tolist() for i in range(len(batches))])
        batches.on_epoch_end()
    return found


def test_every_text_comes_once_with_its_label_beside_others_as_long(preprocessor):
    batches = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3)
    assert len(batches) == 7
    seen = []
    for i in range(len(batches)):
        x, y = batches[i]
        assert y.dtype == "int32" and x["token_ids"].shape == x["padding_mask"].shape
        assert x["padding_mask"].sum(axis=1).tolist() == [label + 2 for label in y]  # And the end.
        assert max(y) - min(y) < 3
        seen += y.tolist()
    assert sorted(seen) == LABELS


def test_a_batch_is_padded_as_its_preprocessor_pads(preprocessor):
    batches = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3, shuffle=False)
    for i in range(len(batches)):
        x, y = batches[i]
        expected = preprocessor([TEXTS[label] for label in y])
        for name, value in expected.items():
            np.testing.assert_array_equal(x[name], value)
    cells = sum(batches[i][0]["padding_mask"].size for i in range(len(batches)))
    tokens = sum(len(text.split()) + 1 for text in TEXTS)
    assert batches.padding_fraction == pytest.approx(1 - tokens / cells)


def test_the_order_depends_on_seed_and_epoch_alone(preprocessor):
    first = orders(LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3, seed=1), epochs=2)
    again = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3, seed=1)
    again.epoch = 1
    assert orders(again) == first[1:] and first[0] != first[1]
    other = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3, seed=2)
    assert orders(other)[0] != first[0]


def test_equally_long_texts_meet_others_in_each_epoch(preprocessor):
    batches = LabelledBatches(["a a"] * 8, range(8), preprocessor, batch_size=4)
    first, second = orders(batches, epochs=2)
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_unshuffled_all_epochs_are_alike(preprocessor):
    batches = LabelledBatches(TEXTS[::-1], LABELS[::-1], preprocessor, shuffle=False, batch_size=7)
    first, second = orders(batches, epochs=2)
    assert first == second == [LABELS[:7], LABELS[14:], LABELS[7:14]]


@pytest.mark.rotates
@pytest.mark.parametrize("seed", range(3))
def test_a_long_batch_among_many_short_ones_can_be_learned_from(seed):
    texts = ["a b", "b a"] * 20 + ["b " * 30]
    preprocessor = RNNTextClassifierPreprocessor(SymbolTokenizer.from_texts(texts))
    backbone = RNNEncoderBackbone(
        preprocessor.tokenizer.vocabulary_size(), embedding_dim=4, hidden_dim=4
    )
    task = RNNTextClassifier(backbone, preprocessor, num_classes=2)
    task.compile(optimizer="adam", run_eagerly=keras.backend.backend() == "tensorflow")
    labels = [0, 1] * 20 + [1]
    for shuffle in (True, False):
        batches = LabelledBatches(
            texts, labels, preprocessor, batch_size=4, seed=seed, shuffle=shuffle
        )
        shapes = [batches[i][0]["token_ids"].shape for i in range(len(batches))]
        assert shapes[0] == (4, 8) and shapes[1] == (1, 32)
        assert len(task.fit(batches, verbose=0, shuffle=False).history["loss"]) == 1


def test_how_many_texts_are_too_long_is_told_at_once():
    preprocessor = RNNTextClassifierPreprocessor(
        SymbolTokenizer.from_texts(TEXTS), sequence_length=16
    )
    with pytest.warns(UserWarning, match="5 of 20 texts have more than 16 tokens"):
        batches = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert max(batches[i][0]["token_ids"].shape[1] for i in range(len(batches))) == 16
    preprocessor = RNNTextClassifierPreprocessor(
        preprocessor.tokenizer, sequence_length=16, truncate="error"
    )
    with pytest.raises(ValueError, match="16 tokens"):
        LabelledBatches(TEXTS, LABELS, preprocessor)


def test_subwords_have_special_tokens_too():
    tokenizer = train_subword_tokenizer(["a good film", "a bad one"], vocabulary_size=20)
    preprocessor = RNNTextClassifierPreprocessor(tokenizer)
    x, _ = LabelledBatches(["good", "bad"], [0, 1], preprocessor)[0]
    lengths = x["padding_mask"].sum(axis=1)
    assert (x["token_ids"][[0, 1], lengths - 1] == tokenizer.end_token_id).all()


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_batch_may_be_limited_by_its_tokens(preprocessor, batch_size):
    limits = {"max_tokens": 32, "batch_size": batch_size}
    batches = LabelledBatches(TEXTS, LABELS, preprocessor, **limits)
    found = [batches[i] for i in range(len(batches))]
    assert sorted(np.concatenate([y for _, y in found])) == LABELS
    sizes = {}
    for x, _ in found:
        count, length = x["token_ids"].shape
        assert count * length <= 32
        sizes.setdefault(length, []).append(count)
    # As many as have room, but for what is left over of a length.
    for length, counts in sizes.items():
        most = min(32 // length, batch_size or 32)
        assert max(counts) == most and sum(count < most for count in counts) <= 1


def test_the_start_of_a_fit_is_no_end_of_an_epoch(preprocessor):
    batches = LabelledBatches(TEXTS, LABELS, preprocessor, batch_size=3)
    batches[0]
    batches.on_epoch_end()
    assert batches.epoch == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"max_tokens": 0}, "`max_tokens` must be at least 1. Received: max_tokens=0"),
        ({"max_tokens": 23}, "at least 24, what the longest text is padded to. Received: max_tok"),
        ({"seed": -1}, "`seed` must be at least 0. Received: seed=-1"),
        ({"labels": [0]}, "Received: 20 texts, 1 labels"),
        ({"texts": [], "labels": []}, "at least one text. Received: none"),
        ({"texts": ["a", " "], "labels": [0, 1]}, "Received: ' ' at position 1"),
    ],
)
def test_bad_arguments_are_refused(preprocessor, arguments, message):
    arguments = {"texts": TEXTS, "labels": LABELS, "preprocessor": preprocessor, **arguments}
    with pytest.raises(ValueError, match=message):
        LabelledBatches(**arguments)


def test_a_negative_epoch_is_refused(preprocessor):
    batches = LabelledBatches(TEXTS, LABELS, preprocessor)
    with pytest.raises(ValueError, match="`epoch` must be at least 0. Received: epoch=-1"):
        batches.epoch = -1

"""Batches of texts with hidden tokens: what they hide, and when they hide the same again."""

import numpy as np
import pytest

from attnzoo.data import MaskedBatches, SymbolTokenizer
from attnzoo.models import TransformerMaskedLMPreprocessor

pytestmark = pytest.mark.shared("torch")

TEXTS = [" ".join("abcdefghij"[: 3 + i % 8]) for i in range(20)]


@pytest.fixture(scope="module")
def preprocessor():
    tokenizer = SymbolTokenizer.from_texts(TEXTS)
    return TransformerMaskedLMPreprocessor(tokenizer, sequence_length=16, mask_rate=0.3)


def epochs(batches, count):
    found = []
    for _ in range(count):
        found.append([batches[i] for i in range(len(batches))])
        batches.on_epoch_end()
    return found


def equal(one, other):
    return all(
        np.array_equal(x[name], other_x[name]) and np.array_equal(y, other_y)
        for (x, y, _), (other_x, other_y, _) in zip(one, other, strict=True)
        for name in x
    )


def test_what_is_hidden_is_the_target(preprocessor):
    batches = MaskedBatches(TEXTS, preprocessor, batch_size=6)
    seen = []
    for x, y, weight in (batches[i] for i in range(len(batches))):
        assert (weight.sum(axis=1) >= 1).all()
        np.testing.assert_array_equal(
            weight.sum(axis=1), np.rint(0.3 * (x["padding_mask"].sum(axis=1) - 1))
        )
        whole = x["token_ids"].copy()
        for row, places, tokens, counts in zip(whole, x["mask_positions"], y, weight, strict=True):
            row[places[counts > 0]] = tokens[counts > 0]
        rows = [ids[mask][:-1] for ids, mask in zip(whole, x["padding_mask"], strict=True)]
        seen += [" ".join(preprocessor.tokenizer.id_to_token(int(i)) for i in row) for row in rows]
    assert sorted(seen) == sorted(TEXTS)


def test_order_and_what_is_hidden_depend_on_seed_and_epoch_alone(preprocessor):
    options = {"batch_size": 20, "seed": 1}
    first, second = epochs(MaskedBatches(TEXTS, preprocessor, **options), 2)
    preprocessor(TEXTS)  # What others draw from it changes nothing.
    again = MaskedBatches(TEXTS, preprocessor, **options)
    again.epoch = 1
    assert equal(epochs(again, 1)[0], second) and not equal(first, second)
    other = MaskedBatches(TEXTS, preprocessor, **{**options, "seed": 2})
    assert not equal(epochs(other, 1)[0], first)


def test_unshuffled_the_same_is_hidden_in_each_epoch(preprocessor):
    first, second = epochs(MaskedBatches(TEXTS, preprocessor, batch_size=6, shuffle=False), 2)
    assert equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"preprocessor": None}, "`preprocessor` must hide tokens, .* Received: preprocessor=None"),
        ({"texts": []}, "at least one text. Received: none"),
    ],
)
def test_bad_arguments_are_refused(preprocessor, arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskedBatches(**{"texts": TEXTS, "preprocessor": preprocessor, **arguments})

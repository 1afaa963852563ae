"""One clear error for whatever is no text, no ids, no batch."""

import numpy as np
import pytest

from attnzoo.models.preprocessing.input_checks import as_texts, check_batched, check_ids

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    "texts", [["a", "ü"], ("a", "ü"), np.array(["a", "ü"]), [b"a", "ü".encode()], iter(["a", "ü"])]
)
def test_texts_come_in_any_list(texts):
    found = as_texts(texts)
    assert found == ["a", "ü"] and [type(one) for one in found] == [str, str]


@pytest.mark.parametrize("bad", [None, float("nan"), 3, "a\udc80", b"\xff", ["a"], np.float64(2)])
def test_what_is_no_text_is_named_with_its_side_and_position(bad):
    with pytest.raises(ValueError) as error:
        as_texts(["a", "b", bad], "source")
    assert str(error.value) == (
        f"A source must be a string that can be written as UTF-8. Received: {bad!r} at position 2"
    )


@pytest.mark.parametrize("texts", [["a", " "], np.array(["a", ""]), [b"a", b""]])
def test_a_blank_text_is_found_in_any_list(texts):
    with pytest.raises(ValueError, match="^A text must have at least one .*: '\\s*' at position 1"):
        as_texts(texts)
    assert len(as_texts(texts, may_be_blank=True)) == 2


@pytest.mark.parametrize("texts", [None, "cat", b"cat", 3, float("nan"), {"token_ids": [1]}])
def test_texts_are_in_a_list(texts):
    with pytest.raises(ValueError, match="^Targets must be in a list, one or more. Received: "):
        as_texts(texts, "target")


def test_nothing_is_no_list_of_texts():
    with pytest.raises(ValueError, match="^There must be at least one source. Received: none"):
        as_texts([], "source")


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(ValueError) as error:
        as_texts([list(range(1000))])
    assert len(str(error.value)) < 200


SIZES = {"token_ids": 5, "padding_mask": None}
IDS, MASK = np.ones((2, 3), "int32"), np.ones((2, 3), "bool")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a"], "a dict of arrays: 'token_ids', 'padding_mask'. Received: list"),
        (None, "a dict of arrays: .* Received: NoneType"),
        ({"token_ids": IDS}, r"a dict of arrays: .* Received: \['token_ids'\]"),
        ({"token_ids": IDS[0], "padding_mask": MASK}, r"\[B, S\]. Received: shape \(3,\)"),
        ({"token_ids": np.array([["a"]]), "padding_mask": MASK}, "`token_ids` must be an array of"),
        ({"token_ids": [[1], [1, 2]], "padding_mask": MASK}, "`token_ids` must be an array"),
        ({"token_ids": IDS[:0], "padding_mask": MASK[:0]}, "at least one text. Received: none"),
        ({"token_ids": IDS[:1], "padding_mask": MASK}, "as many rows. Received: {'token_ids': 1"),
        ({"token_ids": 5 * IDS, "padding_mask": MASK}, r"in \[0, 5\). Received: 5"),
        ({"token_ids": IDS * np.nan, "padding_mask": MASK}, r"in \[0, 5\). Received: nan"),
        ({"token_ids": IDS * 0.5, "padding_mask": MASK}, r"in \[0, 5\). Received: 0.5"),
    ],
)
def test_what_are_no_ids_is_named(inputs, message):
    with pytest.raises(ValueError, match=message):
        check_ids(inputs, SIZES)


def test_ids_are_rows_of_any_array():
    for ids in (IDS, IDS.tolist(), IDS.astype("float32"), IDS.astype("int64")):
        check_ids({"token_ids": ids, "padding_mask": MASK.tolist()}, SIZES)


def test_a_dataset_has_batches():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(["a", "b"])
    with pytest.raises(ValueError, match=r"use `dataset.batch\(...\)`. Received: elements of "):
        check_batched(dataset)
    check_batched(dataset.batch(2))

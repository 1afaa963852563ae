import numpy as np
import pytest
from keras import ops

from attnzoo.checks import (
    agree,
    check_above,
    check_at_least,
    check_attention_inputs,
    check_choice,
    check_mask,
    check_mask_shape,
    check_positive,
    check_rate,
    check_shape,
    is_symbol,
)

pytestmark = pytest.mark.backend_free

NAN, INFINITY = float("nan"), float("inf")


class Symbol:
    """A size that an export leaves open: it equals nothing but itself and takes no comparison."""

    def __lt__(self, other):
        raise TypeError("inconclusive")

    __mul__ = __rmul__ = __le__ = __gt__ = __ge__ = __lt__


OPEN = Symbol()


def tensor(*shape, dtype="float32"):
    return ops.zeros(shape, dtype=dtype)


def test_valid_arguments_pass():
    check_positive(units=1, num_heads=8)
    check_at_least(0, penalty=0.0, seed=None)
    check_above(0, temperature=0.5, soft_cap=None)
    check_above(0, finite=True, temperature=0.5)
    check_rate(dropout=0.0, decay=0.999)
    check_choice(("before", "after"), attend="after")
    check_mask("mask", None, ranks=(2,))
    check_mask("mask", tensor(2, 11, dtype="bool"), ranks=(2,))


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "7", None])
def test_sizes_are_whole_and_positive(size):
    with pytest.raises(ValueError, match=f"`units` must be .* Received: units={size!r}"):
        check_positive(units=size)


@pytest.mark.parametrize("number", [1.9, -1, NAN])
def test_numbers_have_a_least_value(number):
    with pytest.raises(ValueError, match=f"`width` must be at least 2. Received: width={number}"):
        check_at_least(2, seed=None, width=number)


@pytest.mark.parametrize("number", [0.0, -1.0, NAN])
def test_numbers_are_above_a_bound(number):
    with pytest.raises(ValueError, match=f"`cap` must be above 0. Received: cap={number}"):
        check_above(0, cap=number)


@pytest.mark.parametrize("number", [0.0, NAN, INFINITY])
def test_infinity_can_be_refused(number):
    check_above(0, cap=INFINITY)
    with pytest.raises(ValueError, match=f"must be above 0, and finite. Received: cap={number}"):
        check_above(0, finite=True, cap=number)


@pytest.mark.parametrize("rate", [-0.1, 1.0, NAN])
def test_rates_are_shares_below_one(rate):
    message = rf"`dropout` must be in \[0, 1\). Received: dropout={rate}"
    with pytest.raises(ValueError, match=message):
        check_rate(decay=0.5, dropout=rate)


@pytest.mark.parametrize("choice", ["during", None, ["after"]])
def test_choices_are_listed(choice):
    with pytest.raises(ValueError, match=r"`attend` must be one of \('before', 'after'\)") as error:
        check_choice(("before", "after"), attend=choice)
    assert f"Received: attend={choice!r}" in str(error.value)


def test_only_a_size_that_an_export_leaves_open_is_a_symbol():
    assert [is_symbol(size) for size in (7, None, OPEN)] == [False, False, True]


@pytest.mark.parametrize(
    ("sizes", "equal"),
    [
        ((2, 2), True),
        ((2, None, 2), True),
        ((2, 3), False),
        ((OPEN, OPEN), True),
        ((OPEN, 2), False),
    ],
)
def test_sizes_that_are_known_agree_or_not(sizes, equal):
    assert agree(*sizes) is equal


def test_a_mask_is_boolean_and_has_its_rank():
    with pytest.raises(
        ValueError, match="`mask` must be boolean, True = is real. Received: mask.d"
    ):
        check_mask("mask", tensor(2, 11), ranks=(2,), true="is real")
    with pytest.raises(ValueError, match=r"must have rank 2 or 3. Received: mask.shape=\(11,\)"):
        check_mask("mask", tensor(11, dtype="bool"), ranks=(2, 3))


def test_a_mask_has_one_of_its_layouts():
    sizes = {"B": 2, "T": 3, "S": None}
    check_mask_shape("mask", None, sizes, ["BS"])
    for shape in ((3, 11), (2, 3, 11), (1, 3, 11)):
        check_mask_shape("mask", tensor(*shape, dtype="bool"), sizes, ["TS", "BTS"])
    with pytest.raises(ValueError, match=r"shape \[T, S\] or \[B, T, S\] with B=2, T=3, S=None"):
        check_mask_shape("mask", tensor(2, 1, 11, dtype="bool"), sizes, ["TS", "BTS"])
    with pytest.raises(ValueError, match="`mask` must be boolean, True = may attend. Received: "):
        check_mask_shape("mask", tensor(3, 11), sizes, ["TS"])


def test_an_export_is_told_how_to_name_its_sizes():
    class Bias:
        shape = (OPEN, 11)

    with pytest.raises(ValueError, match="polymorphic_shapes"):
        check_shape("bias", Bias(), {"T": 3, "S": 11}, ["TS"])


def test_query_and_memory_belong_together():
    query, memory = tensor(2, 3, 5), tensor(2, 11, 7)
    check_attention_inputs(query, memory, ops.ones((2, 11), "bool"), np.ones((3, 11), "bool"))
    with pytest.raises(ValueError, match=r"`memory` must have rank 3.* memory.shape=\(2, 11\)"):
        check_attention_inputs(query, tensor(2, 11))
    with pytest.raises(ValueError, match=r"same batch size.*query.shape=\(2, .*=\(3, 11, 7\)"):
        check_attention_inputs(query, tensor(3, 11, 7))
    with pytest.raises(
        ValueError, match=r"`memory_mask` must have shape .*memory_mask.shape=\(2, 3"
    ):
        check_attention_inputs(query, memory, ops.ones((2, 3), "bool"))

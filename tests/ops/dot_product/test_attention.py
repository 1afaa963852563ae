import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import align_heads, dot_product_attention, dot_product_scores
from attnzoo.ops.dot_product import attention, dropped_alignments, grouped_matmul, parts
from tests import references
from tests.ops.differentiation import outputs_and_gradients
from tests.tools import assert_close, lengths_mask, normal, to_numpy

ROOT = pathlib.Path(__file__).parents[3]
BATCH, HEADS, QUERY_LENGTH, MEMORY_LENGTH, WIDTH, VALUE_WIDTH = 3, 6, 13, 11, 5, 7
SCORES = (BATCH, HEADS, QUERY_LENGTH, MEMORY_LENGTH)
PAIRS = (QUERY_LENGTH, MEMORY_LENGTH)
ROW = QUERY_LENGTH * MEMORY_LENGTH
SEED = np.array([3, 5], dtype="int32")
UPSTREAM = normal(BATCH, HEADS, QUERY_LENGTH, VALUE_WIDTH, seed=9)
# Elements a block: one step; a third of the steps; one row; two of three rows; all.
BLOCKS = [1, 5 * MEMORY_LENGTH, ROW, 2 * ROW, 99 * ROW]

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


def pairs(*shape):
    """A mask with holes; the last query may attend to nothing."""
    mask = np.random.default_rng(4).random(shape) < 0.6
    mask[..., -1, :] = False
    return mask


# The third example has no memory at all.
MEMORY_MASK = lengths_mask([11, 5, 0], MEMORY_LENGTH)
CASES = {
    "plain": {},
    "padding": {"memory_mask": MEMORY_MASK},
    "pairs": {"attention_mask": pairs(*PAIRS), "memory_mask": MEMORY_MASK},
    "pairs of examples": {"attention_mask": pairs(BATCH, *PAIRS)},
    "pairs of heads": {"attention_mask": pairs(1, HEADS, *PAIRS), "soft_cap": 0.7},
    "pairs of all": {"attention_mask": pairs(*SCORES), "memory_mask": MEMORY_MASK},
    "causal": {"causal": True},
    "window": {"window": 2, "memory_mask": MEMORY_MASK},
    "causal window": {"causal": True, "window": 3, "soft_cap": 0.5},
    "one bias": {"bias": normal(1, 1, *PAIRS, seed=5)},
    "bias of heads": {"bias": normal(HEADS, *PAIRS, seed=5), "causal": True, "soft_cap": 2.0},
    "bias of examples": {"bias": normal(BATCH, 1, *PAIRS, seed=5), "memory_mask": MEMORY_MASK},
    "bias of all": {"bias": normal(*SCORES, seed=5), "attention_mask": pairs(BATCH, *PAIRS)},
}
# M heads of key and value: of 6, of groups of three, one for all.
GROUPS = {"plain": 2, "causal": 2, "pairs": 1, "pairs of heads": 2, "bias of heads": 3}


def tensors_of(case: str, heads: int | None = None) -> list:
    heads = GROUPS.get(case, HEADS) if heads is None else heads
    return [
        normal(BATCH, HEADS, QUERY_LENGTH, WIDTH, seed=1),
        normal(BATCH, heads, MEMORY_LENGTH, WIDTH, seed=2),
        normal(BATCH, heads, MEMORY_LENGTH, VALUE_WIDTH, seed=3),
    ]


def tensors_of_one_width(case: str, heads: int | None = None) -> list:
    """Kernels want values as wide as keys."""
    query, key, _ = tensors_of(case, heads)
    return [query, key, key[:, :, ::-1].copy()]


def expected(case: str, tensors):
    arguments = dict(CASES[case])
    mask = arguments.pop("attention_mask", None)
    if mask is not None and mask.ndim == 3:
        mask = mask[:, None]
    alignments = references.multi_head_alignments(*tensors[:2], attention_mask=mask, **arguments)
    return references.gather_heads(alignments, tensors[2]), alignments


def run(case: str, tensors=None, upstream=UPSTREAM, compiled=True, known=None, **more):
    """The context, and the gradients of query, key, value and bias."""
    arguments = {
        name: ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in CASES[case].items()
    }
    bias = [CASES[case]["bias"]] if "bias" in arguments else []

    def attend(query, key, value, *bias):
        own = {"bias": bias[0]} if bias else {}
        return dot_product_attention(query, key, value, **{**arguments, **own, **more})

    tensors = tensors_of(case) if tensors is None else tensors
    return outputs_and_gradients(
        attend, [*tensors, *bias], upstream, compiled=compiled, known=known
    )


@pytest.fixture
def choose_way(monkeypatch):
    """Function that chooses the way, however small the whole is."""

    def choose(way: str, elements: int = 0):
        monkeypatch.setattr(attention, "_WHOLE_ELEMENTS", 2**30 if way == "whole" else 0)
        monkeypatch.setattr(parts, "_BLOCK_ELEMENTS", elements)
        monkeypatch.setattr(parts, "_PART_STEPS", 4)
        if way != "kernel":
            monkeypatch.setattr(attention, "has_kernel", lambda *_: False)

    return choose


@pytest.mark.parametrize("case", CASES)
def test_the_whole_follows_the_equation(choose_way, case):
    choose_way("whole")
    tensors = tensors_of(case)
    context, _ = run(case)
    assert_close(context, expected(case, tensors)[0].astype("float32"))


@pytest.mark.parametrize("case", CASES)
def test_alignments_follow_the_equation(case):
    query, key, value = tensors_of(case)
    scores = dot_product_scores(query, key)
    alignments = align_heads(scores, **CASES[case])
    assert_close(alignments, expected(case, [query, key, value])[1].astype("float32"))
    if "memory_mask" in CASES[case]:
        assert np.all(to_numpy(alignments)[1, :, :, 5:] == 0.0)


@pytest.mark.parametrize("case", CASES)
def test_blocks_give_the_numbers_and_gradients_of_the_whole(choose_way, case):
    choose_way("whole")
    whole = run(case)
    choose_way("blocks", 5 * MEMORY_LENGTH)
    assert_close(run(case), whole)


@pytest.mark.rotates
@pytest.mark.parametrize("case", ["pairs of heads", "one bias"])
@pytest.mark.parametrize("elements", BLOCKS)
def test_blocks_may_have_any_size(choose_way, elements, case):
    choose_way("whole")
    whole = run(case)
    choose_way("blocks", elements)
    assert_close(run(case), whole)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="The others' is Keras's.")
@pytest.mark.parametrize("case", [case for case in CASES if "soft_cap" not in CASES[case]])
def test_the_kernel_of_torch_gives_the_same(choose_way, monkeypatch, case):
    calls, kernel = [], attention.kernel_attention
    monkeypatch.setattr(
        attention,
        "kernel_attention",
        lambda *args, **more: calls.append(1) or kernel(*args, **more),
    )
    choose_way("kernel")
    tensors = tensors_of_one_width(case)
    context = dot_product_attention(*tensors, **CASES[case])
    assert calls
    assert_close(context, expected(case, tensors)[0].astype("float32"))
    found = run(case, tensors, upstream=tensors[0])
    choose_way("whole")
    assert_close(found, run(case, tensors, upstream=tensors[0]))


@pytest.mark.parametrize("case", CASES)
def test_the_way_that_is_chosen_follows_the_equation(choose_way, case):
    choose_way("kernel", 2 * ROW)
    tensors = tensors_of(case)
    context = dot_product_attention(*tensors, **CASES[case])
    assert_close(context, expected(case, tensors)[0].astype("float32"))


@pytest.mark.parametrize("case", ["plain", "pairs of examples", "one bias", "window"])
def test_the_kernel_of_keras_gives_the_same(choose_way, monkeypatch, case):
    if keras.backend.backend() == "torch":
        pytest.skip("torch has its own.")
    tensors = tensors_of_one_width(case, heads=HEADS)
    choose_way("whole")
    whole = run(case, tensors, upstream=tensors[0])
    monkeypatch.setattr(attention, "has_kernel", lambda *_: True)
    assert_close(run(case, tensors, upstream=tensors[0]), whole)


@pytest.mark.parametrize("case", ["plain", "pairs of heads", "bias of heads", "causal window"])
def test_dropout_is_the_same_on_every_way(choose_way, case):
    more = {"dropout": 0.4, "seed": ops.convert_to_tensor(SEED)}
    choose_way("whole")
    whole = run(case, **more)
    choose_way("blocks", 5 * MEMORY_LENGTH)
    assert_close(run(case, **more), whole)
    assert np.any(np.abs(whole[0] - run(case)[0]) > 0.1)
    tensors = tensors_of(case)
    alignments = ops.convert_to_tensor(expected(case, tensors)[1].astype("float32"))
    group = HEADS // tensors[1].shape[1]
    left = dropped_alignments(alignments, more["dropout"], more["seed"], group)
    assert_close(grouped_matmul(left, ops.convert_to_tensor(tensors[2])), whole[0])


def test_what_dropout_leaves_is_a_fair_share():
    alignments = ops.ones((7, 3, 50, 100))
    rate = 0.3
    left = to_numpy(dropped_alignments(alignments, rate, ops.convert_to_tensor(SEED)))
    assert set(np.unique(left)) == {np.float32(0.0), np.float32(1.0 / (1.0 - rate))}
    for axis in range(4):
        kept = np.mean(left > 0.0, axis=tuple(other for other in range(4) if other != axis))
        deviation = np.sqrt(rate * (1.0 - rate) * len(kept) / left.size)
        assert np.all(np.abs(kept - (1.0 - rate)) < 4.5 * deviation)
    other = dropped_alignments(alignments, rate, ops.convert_to_tensor(SEED + 1))
    agree = np.mean((to_numpy(other) > 0.0) == (left > 0.0))
    assert abs(agree - 0.58) < 4.0 * np.sqrt(0.58 * 0.42 / left.size)


@pytest.mark.parametrize("way", ["whole", "blocks", "kernel"])
def test_nothing_to_attend_to_gives_zeros_and_no_gradient(choose_way, way):
    choose_way(way, 2 * ROW)
    tensors = tensors_of_one_width("padding")
    context, gradients = run("padding", tensors, upstream=tensors[0], compiled=False)
    assert np.all(context[2] == 0.0)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient[2] == 0.0)


@pytest.mark.parametrize("way", ["whole", "blocks", "kernel"])
def test_large_scores_stay_finite(choose_way, way):
    choose_way(way, 2 * ROW)
    query, key, value = tensors_of_one_width("padding")
    context, gradients = run("padding", [1e4 * query, 1e4 * key, value], upstream=query)
    for array in (context, *gradients):
        assert np.all(np.isfinite(array))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("way", ["whole", "blocks"])
def test_half_precision_is_summed_in_float32(choose_way, way, dtype):
    choose_way(way, 5 * MEMORY_LENGTH)
    tensors = [ops.cast(array, dtype) for array in tensors_of("causal")]
    context = dot_product_attention(*tensors, causal=True)
    assert keras.backend.standardize_dtype(context.dtype) == dtype
    wanted = expected("causal", [to_numpy(tensor) for tensor in tensors])[0].astype("float32")
    assert_close(context, wanted, tolerance=2.0**-8 if dtype == "bfloat16" else 2.0**-11)


@on_tensorflow
@pytest.mark.parametrize("compiled", [True, "xla"])
@pytest.mark.parametrize("case", ["pairs", "bias of heads", "causal window"])
def test_sizes_may_be_unknown_while_tracing(choose_way, case, compiled):
    choose_way("whole")
    whole = run(case)
    choose_way("blocks", 5 * MEMORY_LENGTH)
    tensors = tensors_of(case)
    known = [(None, array.shape[1], None, array.shape[3]) for array in tensors]
    if "bias" in CASES[case]:
        known.append((HEADS, None, None))
    assert_close(run(case, compiled=compiled, known=known), whole)


@pytest.mark.shared("tensorflow")  # Blocks are cut alike on all.
def test_memory_stays_far_below_the_whole():
    # [B, N, T, S] alone would take 256 MiB, and its gradients several times that.
    program = """
import resource
import numpy as np
from attnzoo.ops import dot_product_attention
from tests.ops.differentiation import outputs_and_gradients

def run(batch, length):
    states = np.ones((batch, 4, length, 8), "float32")
    outputs_and_gradients(dot_product_attention, [states] * 3, states, compiled=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB, on Linux

before = run(2, 256)
print(run(4, 2048) - before)
"""
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
    assert float(child.stdout.split()[-1]) < 128


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 6, 3, 5), (3, 6, 11, 5), (3, 6, 11, 5)),
        ((2, 6, 3, 5), (2, 4, 11, 5), (2, 4, 11, 5)),
        ((2, 6, 3, 5), (2, 6, 11, 7), (2, 6, 11, 5)),
        ((2, 6, 3, 5), (2, 6, 11, 5), (2, 6, 7, 5)),
        ((6, 3, 5), (2, 6, 11, 5), (2, 6, 11, 5)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match="M must divide N. Received shapes: query=") as error:
        dot_product_attention(*map(np.ones, shapes))
    for name, shape in zip(("query", "key", "value"), shapes, strict=True):
        assert f"{name}={shape}" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"memory_mask": np.ones((3, 7), bool)},
            r"`memory_mask` must have shape \[B, S\] with B=3, .*S=11. "
            r"Received: memory_mask.shape=\(3, 7\)",
        ),
        (
            {"attention_mask": np.ones((11, 13), bool)},
            r"\[T, S\] or \[B, T, S\] or \[B, N, T, S\] with .*T=13, S=11. "
            r"Received: attention_mask.shape=\(11, 13\)",
        ),
        ({"attention_mask": np.ones(PAIRS)}, "must be boolean.*attention_mask.dtype=float64"),
        ({"bias": np.ones(PAIRS)}, r"Received: bias.shape=\(13, 11\)"),
        ({"soft_cap": 0.0}, "above 0. Received: soft_cap=0.0"),
        ({"window": 0}, "at least 1. Received: window=0"),
        ({"dropout": 1.0}, r"in \[0, 1\). Received: dropout=1.0"),
        ({"dropout": 0.5}, "needs a `seed`. Received: dropout=0.5"),
    ],
)
def test_what_does_not_belong_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        dot_product_attention(*tensors_of("plain"), **arguments)

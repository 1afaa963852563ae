import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.ops import marginal, marginal_log_probs, masked_softmax, target_log_probs
from attnzoo.training import SmoothedCrossEntropy
from tests import references
from tests.ops.differentiation import outputs_and_gradients, slopes
from tests.tools import assert_close, lengths_mask, normal, to_numpy

ROOT = pathlib.Path(__file__).parents[2]

B, T, S, U, V = 5, 3, 11, 7, 13
MASK = lengths_mask([11, 7, 3, 11, 1], S)
QUERY, KEY = normal(B, T, U, seed=1), normal(B, S, U, seed=2)
ALIGNMENTS = references.softmax(normal(B, T, S, seed=3), MASK[:, None, :]).astype("float32")
KERNEL, BIAS = normal(U, V, seed=4), normal(V, seed=5)
KEPT = (normal(B, T, U, seed=6) > 0).astype("float32") * 2
UPSTREAM = normal(B, T, V, seed=7)
TENSORS = [QUERY, KEY, ALIGNMENTS, KERNEL, BIAS]

ROW = S * (U + V)
# Elements a block: one step; two of three steps; one example; two of five examples; all.
BLOCKS = [1, 2 * ROW, T * ROW, 2 * T * ROW, B * T * ROW]

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Only TensorFlow traces unknown sizes."
)


@pytest.fixture
def in_blocks(monkeypatch):
    """Function that makes blocks hold at most so many elements, however small the whole is."""

    def set_elements(elements: int | None):
        if elements is not None:
            monkeypatch.setattr(marginal, "_WHOLE_ELEMENTS", 0)
            monkeypatch.setattr(marginal, "_BLOCK_ELEMENTS", elements)

    return set_elements


def both(tensors=TENSORS, kept=None, upstream=UPSTREAM, **arguments):
    def function(*tensors):
        return marginal_log_probs(*tensors, kept)

    return outputs_and_gradients(function, tensors, upstream, **arguments)


@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("elements", [None, *BLOCKS])
def test_it_follows_the_equation(in_blocks, elements, kept):
    in_blocks(elements)
    expected = references.marginal_log_probs(*TENSORS, kept)
    assert_close(marginal_log_probs(*map(ops.convert_to_tensor, TENSORS), kept), expected)
    np.testing.assert_allclose(np.exp(expected).sum(axis=-1), 1.0)


# One source of five real places and two of padding, and a target of three tokens.
STEPS, PLACES, REAL = 3, 7, 5
TARGETS = np.array([2, 0, 3])


def small_problem():
    """Scores, query, key, kernel and bias, in float64."""
    shapes = [(1, STEPS, PLACES), (1, STEPS, 2), (1, PLACES, 2), (2, 5), (5,)]
    return [normal(*shape, seed=n).astype("float64") for n, shape in enumerate(shapes)]


def enumerated(scores, query, key, kernel, bias):
    alignments = references.softmax(scores, np.arange(PLACES) < REAL)
    log_probs = references.log_probs_at_each_place(query, key, kernel, bias)
    return references.enumerated_loss(alignments[0, :, :REAL], log_probs[0, :, :REAL], TARGETS)


@pytest.mark.parametrize("elements", [None, 1, 2 * PLACES * 7])
def test_the_loss_is_that_of_all_alignments_one_by_one(in_blocks, elements):
    in_blocks(elements)
    loss = SmoothedCrossEntropy(reduction=None)

    def total(scores, query, key, kernel, bias):
        mask = ops.convert_to_tensor(np.arange(PLACES) < REAL)
        alignments = masked_softmax(scores, mask)
        log_probs = marginal_log_probs(query, key, alignments, kernel, bias)
        return ops.sum(loss(TARGETS[None], log_probs))

    problem = small_problem()
    found, gradients = outputs_and_gradients(
        total, [tensor.astype("float32") for tensor in problem], 1.0, compiled=True
    )
    np.testing.assert_allclose(found, enumerated(*problem), rtol=1e-5)
    for gradient, expected in zip(gradients, slopes(enumerated, problem), strict=True):
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(gradient, expected, atol=2e-6, rtol=1e-4)


@pytest.mark.rotates
@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("elements", BLOCKS)
def test_blocks_of_any_size_give_the_numbers_of_the_whole(in_blocks, elements, kept):
    whole = both(kept=kept)
    in_blocks(elements)
    assert_close(both(kept=kept, compiled=True), whole, tolerance=1e-5)


@pytest.mark.parametrize("elements", BLOCKS)
def test_no_block_is_larger_than_allowed(in_blocks, monkeypatch, elements):
    in_blocks(elements)
    sizes = []
    at_each_place = marginal._at_each_place

    def record(*arguments):
        hidden, readout, logits = at_each_place(*arguments)
        sizes.append(int(np.prod(hidden.shape) + np.prod(logits.shape)))
        return hidden, readout, logits

    monkeypatch.setattr(marginal, "_at_each_place", record)
    both()
    assert sizes and max(sizes) <= max(elements, ROW)


@on_tensorflow
@pytest.mark.parametrize("elements", [2 * ROW, 2 * T * ROW])
@pytest.mark.parametrize("compiled", [True, "xla"])
@pytest.mark.parametrize("sizes", [(None, None, None), (None, T, S), (B, None, S)])
def test_sizes_may_be_unknown_while_tracing(in_blocks, sizes, compiled, elements):
    expected = both()
    in_blocks(elements)
    batch, steps, places = sizes
    known = [(batch, steps, U), (batch, places, U), (batch, steps, places), (U, V), (V,)]
    assert_close(both(compiled=compiled, known=known), expected)


@pytest.mark.parametrize("elements", [None, 2 * ROW, 2 * T * ROW])
def test_a_place_without_weight_adds_exactly_nothing(in_blocks, elements):
    in_blocks(elements)
    log_probs, gradients = both()
    padding = np.broadcast_to(~MASK[:, :, None], KEY.shape)
    assert np.all(gradients[1][padding] == 0.0)
    assert np.all(gradients[1][~padding] != 0.0)
    assert np.all(gradients[2][np.broadcast_to(~MASK[:, None], ALIGNMENTS.shape)] == 0.0)
    garbage = np.where(padding, np.float32(1e4), KEY)
    other, other_gradients = both([QUERY, garbage, *TENSORS[2:]])
    assert_close((other, other_gradients), (log_probs, gradients), tolerance=0.0)


@pytest.mark.parametrize("elements", [None, 2 * ROW, 2 * T * ROW])
def test_with_no_place_at_all_every_target_is_equally_probable(in_blocks, elements):
    in_blocks(elements)
    alignments = ALIGNMENTS.copy()
    alignments[1] = 0.0
    log_probs, gradients = both([QUERY, KEY, alignments, KERNEL, BIAS], compiled=True)
    np.testing.assert_allclose(log_probs[1], -np.log(V), rtol=1e-6)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
    for gradient in gradients[:3]:
        assert np.all(gradient[1] == 0.0)


@pytest.mark.parametrize("elements", [None, 2 * ROW])
def test_what_no_place_would_say_stays_finite(in_blocks, elements):
    in_blocks(elements)
    alignments = np.eye(S, dtype="float32")[None, :T].repeat(B, axis=0)
    alignments[0, 0] = [1.0, 1e-30, 1e-37, 1e-38, 1e-45] + [0.0] * (S - 5)
    tensors = [QUERY, KEY, alignments, 1e4 * KERNEL, BIAS]
    log_probs, gradients = both(tensors, compiled=True)
    for array in (log_probs, *gradients):
        assert np.all(np.isfinite(array))
    assert log_probs.min() < -1e4  # No exp would hold that.
    assert_close(log_probs.max(axis=-1), np.zeros((B, T)), tolerance=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(dtype):
    tensors = [ops.cast(tensor, dtype) for tensor in TENSORS]
    log_probs = marginal_log_probs(*tensors)
    assert keras.backend.standardize_dtype(log_probs.dtype) == "float32"
    assert_close(log_probs, references.marginal_log_probs(*to_numpy(tensors)))


def test_gradients_of_half_precision_are_finite():
    def function(alignments):
        tensors = [ops.convert_to_tensor(one) for one in (QUERY, KEY, KERNEL, BIAS)]
        alignments = ops.cast(alignments, "float16")
        return marginal_log_probs(*tensors[:2], alignments, 40.0 * tensors[2], tensors[3])

    alignments = np.full((B, T, S), 1e-6, "float32")
    alignments[..., 0] = 1.0
    log_probs, (gradient,) = outputs_and_gradients(function, [alignments], normal(B, T, V))
    assert np.isfinite(log_probs).all() and np.isfinite(gradient).all()


# === One given target at each place ===

TARGET_IDS = np.random.default_rng(8).integers(0, V, size=(B, T))
SHARED = [QUERY, KEY, KERNEL, BIAS]
PLACE_UPSTREAM = normal(B, T, S, seed=9)


def both_of_targets(tensors=SHARED, kept=None, upstream=PLACE_UPSTREAM, **arguments):
    def function(query, key, kernel, bias):
        return target_log_probs(query, key, TARGET_IDS, kernel, bias, kept)

    return outputs_and_gradients(function, tensors, upstream, **arguments)


def expected_of_targets(query, key, kernel, bias, kept=None):
    log_probs = references.log_probs_at_each_place(query, key, kernel, bias, kept)
    return np.take_along_axis(log_probs, TARGET_IDS[:, :, None, None], axis=-1)[..., 0]


@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("elements", [None, *BLOCKS])
def test_a_target_has_its_log_probability_at_each_place(in_blocks, elements, kept):
    in_blocks(elements)
    found, _ = both_of_targets(kept=kept)
    assert_close(found, expected_of_targets(*SHARED, kept))


@pytest.mark.parametrize("elements", [None, 2 * ROW])
def test_the_gradient_of_a_target_is_the_slope(in_blocks, elements):
    in_blocks(elements)
    _, gradients = both_of_targets(kept=KEPT, compiled=True)
    doubles = [tensor.astype("float64") for tensor in SHARED]

    def total(*tensors):
        return (expected_of_targets(*tensors, KEPT) * PLACE_UPSTREAM).sum()

    for gradient, expected in zip(gradients, slopes(total, doubles), strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.rotates
@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("elements", BLOCKS)
def test_targets_in_blocks_of_any_size_give_the_numbers_of_the_whole(in_blocks, elements, kept):
    whole = both_of_targets(kept=kept)
    in_blocks(elements)
    assert_close(both_of_targets(kept=kept, compiled=True), whole, tolerance=1e-5)


@on_tensorflow
@pytest.mark.parametrize("compiled", [True, "xla"])
def test_sizes_of_a_target_s_problem_may_be_unknown_while_tracing(in_blocks, compiled):
    expected = both_of_targets()
    in_blocks(2 * ROW)
    known = [(None, None, U), (None, None, U), (U, V), (V,)]
    assert_close(both_of_targets(compiled=compiled, known=known), expected)


def test_a_target_that_no_place_would_say_stays_finite():
    log_probs, gradients = both_of_targets([QUERY, KEY, 1e4 * KERNEL, BIAS], compiled=True)
    assert log_probs.min() < -1e4  # No exp would hold that.
    for array in (log_probs, *gradients):
        assert np.all(np.isfinite(array))


@pytest.mark.shared("jax")  # Blocks are cut alike on all.
def test_memory_stays_far_below_the_whole():
    # [B, T, S, U + V] alone would take 576 MiB, and the plain gradient several times that.
    program = """
import resource
import numpy as np
from attnzoo.ops import marginal_log_probs
from tests.ops.differentiation import outputs_and_gradients, slopes

def run(length, units, vocabulary):
    states = np.ones((1, length, units), "float32")
    tensors = [
        states, states, np.full((1, length, length), 1 / length, "float32"),
        np.ones((units, vocabulary), "float32"), np.ones(vocabulary, "float32"),
    ]
    upstream = np.ones((1, length, vocabulary), "float32")
    outputs_and_gradients(marginal_log_probs, tensors, upstream, compiled=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB, on Linux

before = run(128, 64, 128)
print(run(512, 64, 512) - before)
"""
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
    assert float(child.stdout.split()[-1]) < 256

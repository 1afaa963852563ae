import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.lookup import get_attention
from attnzoo.layers.names import ATTENTIONS
from attnzoo.ops import combine_masks, masked_softmax, weighted_sum
from tests.catalogue import LAYERS, CumulativeAttention
from tests.references import softmax
from tests.tools import assert_close, lengths_mask, normal, set_weights, shared

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)
MASK = lengths_mask([11, 7], 11)
MECHANISMS = [
    row for row in LAYERS if issubclass(row.cls, layers.Attention) and "memory" in row.inputs
]
FIRST = {row.cls: row for row in reversed(MECHANISMS)}.values()


@pytest.mark.rotates
@pytest.mark.parametrize("row", shared(MECHANISMS, FIRST), ids=str)
def test_a_call_equals_its_steps(row):
    attention, inputs = row.make(), row.batch()
    query, memory, mask = (ops.convert_to_tensor(inputs[name]) for name in row.inputs)
    attention(query, memory)
    set_weights(attention)
    expected = attention(query, memory, memory_mask=mask, return_alignments=True)
    if len(expected[1].shape) == 4:  # A decoder gets the mean over the heads.
        expected = expected[0], ops.mean(expected[1], axis=1)
    prepared = attention.prepare(memory, mask)
    state = attention.initial_state(prepared)
    contexts, alignments = [], []
    for t in range(3):
        context, aligned, state = attention.step(query[:, t : t + 1], prepared, state)
        contexts.append(context)
        alignments.append(aligned)
    assert_close((ops.concatenate(contexts, 1), ops.concatenate(alignments, 1)), expected)


def test_a_mechanism_with_a_state_remembers():
    attention = CumulativeAttention()
    attention.build(QUERY.shape, MEMORY.shape)
    attention.weight.assign(0.7)
    context, alignments = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    query, memory = QUERY.astype("float64"), MEMORY.astype("float64")
    total = np.zeros((2, 11))
    for t in range(3):
        scores = np.einsum("bd,bsd->bs", query[:, t], memory) - 0.7 * total
        expected = softmax(scores, MASK)
        assert_close(alignments[:, t], expected)
        assert_close(context[:, t], np.einsum("bs,bsd->bd", expected, memory))
        total += expected


def test_hypotheses_side_by_side_do_not_see_one_another():
    attention = CumulativeAttention()
    attention.build(QUERY.shape, MEMORY.shape)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = np.abs(normal(2, 3, 11, seed=3))  # K = 3 hypotheses, each with a past of its own
    together = attention.step(QUERY, prepared, ops.convert_to_tensor(state))
    for k in range(3):
        one = slice(k, k + 1)
        alone = attention.step(QUERY[:, one], prepared, ops.convert_to_tensor(state[:, one]))
        assert_close(tuple(part[:, one] for part in together), alone)


def test_a_mechanism_with_a_state_takes_no_mask_over_pairs():
    with pytest.raises(ValueError, match=r"`CumulativeAttention` goes step .* shape \(3, 11\)"):
        CumulativeAttention()(QUERY, MEMORY, attention_mask=np.ones((3, 11), dtype=bool))


@pytest.mark.parametrize("method", ["prepare", "step"])
def test_a_mechanism_without_a_method_says_so(method):
    arguments = (MEMORY,) if method == "prepare" else (QUERY, {}, ())
    with pytest.raises(NotImplementedError, match=f"`Attention` must implement `{method}`"):
        getattr(layers.Attention(), method)(*arguments)


class MeanAttention(layers.Attention):
    """An attention without state that has `attend` alone."""

    def prepare(self, memory, memory_mask=None):
        return {"value": memory, "mask": combine_masks(memory_mask)}

    def attend(self, query, prepared):
        scores = ops.zeros((*query.shape[:2], prepared["value"].shape[1]))
        alignments = masked_softmax(scores, prepared["mask"])
        return weighted_sum(alignments, prepared["value"]), alignments


def test_without_a_state_attend_is_enough():
    attention = MeanAttention()
    expected = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    for t in range(3):
        context, alignments, state = attention.step(QUERY[:, t : t + 1], prepared, ())
        assert state == ()
        assert_close((context, alignments), tuple(part[:, t : t + 1] for part in expected))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": QUERY[0]}, r"`query` must have rank 3.* Received: query.shape=\(3, 5\)"),
        ({"memory": MEMORY[:, 0]}, r"`memory` must have rank 3.*Received: memory.shape=\(2, 5\)"),
        ({"memory": MEMORY[:1]}, r"same batch size. .*\(2, 3, 5\), memory.shape=\(1, 11, 5\)"),
        (
            {"memory_mask": MASK.astype("int32")},
            r"must be boolean, True = is real. Received: memory_mask.dtype=.*int32",
        ),
        ({"memory_mask": MASK[0]}, r"must have rank 2. Received: memory_mask.shape=\(11,\)"),
        ({"memory_mask": MASK[:, :7]}, r"B=2, T=3, S=11. Received: memory_mask.shape=\(2, 7\)"),
        ({"memory_mask": MASK[:, :1]}, r"\[B, S\] with .* Received: memory_mask.shape=\(2, 1\)"),
        (
            {"attention_mask": np.ones((2, 11), "bool")},
            r"\[T, S\] or \[B, T, S\] with .* Received: attention_mask.shape=\(2, 11\)",
        ),
        (
            {"attention_mask": MASK.astype("float32")},
            r"True = may attend. Received: attention_mask.dtype=.*float32",
        ),
        (
            {"query_mask": np.ones((2, 3), "int32")},
            r"True = is real. Received: query_mask.dtype=.*int32",
        ),
        (
            {"attention_mask": MASK[0]},
            r"must have rank 2 or 3. Received: attention_mask.shape=\(11,\)",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, message):
    attention = layers.SoftAttention("bilinear")
    attention.build((2, 3, 5), (2, 11, 5))
    arguments = {"query": QUERY, "memory": MEMORY} | arguments
    tensors = {name: ops.convert_to_tensor(array) for name, array in arguments.items()}
    with pytest.raises(ValueError, match=message):
        attention(**tensors)


AFTER = ("luong", "luong_general", "luong_dot", "luong_concat", "local_predictive")
AFTER += ("local_monotonic", "hard_exact", "exact_monotonic", "exact_monotonic_zeroth")


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_mechanism_says_what_it_is(name):
    attention = get_attention(name, units=7)
    assert attention.decoder_order == ("after" if name in AFTER else "before")
    assert attention.has_coverage is hasattr(attention, "coverage_loss") is (name == "coverage")
    assert attention.marginal is hasattr(attention, "make_output_layer") is ("exact" in name)

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy

INPUTS = normal(2, 7, 5, seed=1)
MASK = lengths_mask([7, 4], 7)

KINDS = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2, "qk_norm": True},
    "multi-query": {"num_key_value_heads": 1, "value_dim": 3, "soft_cap": 2.0},
    "window": {"window": 2},
    "rotary": {"position": "rotary"},
    "alibi": {"position": "alibi"},
    "t5": {"position": "t5", "num_key_value_heads": 2},
    "relative": {"position": "relative"},
    "relative values": {
        "position": layers.RelativePosition(8, max_distance=2, values=True),
        "num_key_value_heads": 2,
    },
    "sparse": {"normalizer": "entmax15"},
    "additive": {"score": "additive", "units": 3},
}


def built(**arguments):
    attention = layers.MultiHeadSelfAttention(
        **({"num_heads": 4, "key_dim": 8, "causal": True} | arguments)
    )
    attention.build(INPUTS.shape)
    set_weights(attention)
    return attention


@pytest.mark.parametrize("asked", [False, True])
def test_it_is_multi_head_attention_to_the_inputs_themselves(asked):
    attention = built(causal=False)
    other = layers.MultiHeadAttention(4, 8)
    other.build(INPUTS.shape, INPUTS.shape)
    set_weights(other)
    pairs = np.random.default_rng(2).random((7, 7)) < 0.7
    arguments = {"attention_mask": pairs, "return_alignments": asked}
    found = attention(INPUTS, padding_mask=MASK, **arguments)
    assert_close(found, other(INPUTS, INPUTS, memory_mask=MASK, **arguments))


@pytest.mark.rotates
@pytest.mark.parametrize(
    ("kind", "sizes"), [*((kind, (4, 1, 1, 1)) for kind in KINDS), ("rotary", (1,) * 7)]
)
def test_cached_steps_equal_one_causal_pass(kind, sizes):
    attention = built(**KINDS[kind])
    context, alignments = attention(INPUTS, return_alignments=True)
    cache = attention.initial_cache(2, 9)
    contexts, rows, index = [], [], 0
    for size in sizes:
        tokens = ops.convert_to_tensor(INPUTS[:, index : index + size])
        before = cache
        one, aligned, cache = attention.call_with_cache(
            tokens, cache, ops.convert_to_tensor(index), return_alignments=True
        )
        contexts.append(to_numpy(one))
        rows.append(to_numpy(aligned))
        index += size
    assert_close(np.concatenate(contexts, axis=1), to_numpy(context))
    found = np.concatenate(rows, axis=2)
    assert np.all(found[..., 7:] == 0.0)
    assert_close(found[..., :7], to_numpy(alignments))
    # The road without alignments, for the last token.
    assert_close(attention.call_with_cache(tokens, before, 6)[0], one)


@pytest.mark.parametrize("asked", [False, True])
def test_torch_with_the_same_weights_sees_as_little_of_what_comes(asked):
    torch = pytest.importorskip("torch")
    inputs = normal(2, 7, 12, seed=3)
    attention = layers.MultiHeadSelfAttention(4, 3, causal=True)
    attention.build(inputs.shape)
    set_weights(attention)
    peer = torch.nn.MultiheadAttention(12, 4, batch_first=True)
    dense = {name: getattr(attention, f"{name}_dense") for name in ("query", "key", "value")}
    tensors = {
        peer.in_proj_weight: np.concatenate([to_numpy(one.kernel).T for one in dense.values()]),
        peer.in_proj_bias: np.concatenate([to_numpy(one.bias) for one in dense.values()]),
        peer.out_proj.weight: to_numpy(attention.output_dense.kernel).T,
        peer.out_proj.bias: to_numpy(attention.output_dense.bias),
    }
    rows = torch.tensor(inputs)
    hidden = torch.triu(torch.ones(7, 7, dtype=torch.bool), diagonal=1)
    with torch.no_grad():
        for weight, value in tensors.items():
            weight.copy_(torch.tensor(value))
        peer = peer.to("cpu")
        expected = peer(rows, rows, rows, attn_mask=hidden, average_attn_weights=False)
    context, alignments = (one.numpy() for one in expected)
    if asked:
        assert_close(attention(inputs, return_alignments=True), (context, alignments))
    else:
        assert_close(attention(inputs), context)


@pytest.mark.parametrize(
    "shared", [{"position": layers.T5Position(4)}, {"score": layers.AdditiveScore(3)}]
)
def test_what_attentions_share_they_share_in_a_file_too(shared, tmp_path):
    x = keras.Input((None, 5))
    first, second = (
        layers.MultiHeadSelfAttention(4, 8, name=name, **shared) for name in ("first", "second")
    )
    model = keras.Model(x, second(first(x)))
    set_weights(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(ops.convert_to_tensor(INPUTS)), model(INPUTS))
    for name in shared:
        one, other = (getattr(loaded.get_layer(n), name) for n in ("first", "second"))
        assert one is other


def test_padding_in_the_cache_gets_no_weight():
    attention = built()
    mask = MASK[:, ::-1].copy()  # The prompts end together.
    context, alignments = attention(INPUTS, padding_mask=mask, return_alignments=True)
    cache = attention.initial_cache(2, 7)
    found, aligned, _ = attention.call_with_cache(
        ops.convert_to_tensor(INPUTS),
        cache,
        0,
        padding_mask=ops.convert_to_tensor(mask),
        return_alignments=True,
    )
    assert_close((found, aligned), (context, alignments))
    assert np.all(to_numpy(aligned)[1, :, :, :3] == 0.0)


def test_nothing_behind_a_token_reaches_it():
    attention = built()
    changed = INPUTS.copy()
    changed[:, 4:] = 3.0
    found, other = attention(INPUTS), attention(changed)
    assert_close(found[:, :4], other[:, :4])
    assert np.all(np.abs(to_numpy(found[:, 4:]) - to_numpy(other[:, 4:])).max(axis=-1) > 1e-3)


def test_a_cache_needs_causal_attention():
    attention = built(causal=False)
    with pytest.raises(ValueError, match="needs `causal=True`.* Received: causal=False"):
        attention.call_with_cache(INPUTS[:, :1], attention.initial_cache(2, 3), 0)


def test_a_cache_holds_at_least_one_token():
    with pytest.raises(ValueError, match="Received: max_length=0"):
        built().initial_cache(2, 0)
    with pytest.raises(ValueError, match="Received: max_length=0"):
        built().resize_cache(built().initial_cache(2, 3), 0)


def test_a_resized_cache_holds_what_it_held():
    attention = built()
    _, cache = attention.call_with_cache(INPUTS[:, :3], attention.initial_cache(2, 9), 0)
    for size in (3, 4, 12):
        after = attention.resize_cache(cache, size)
        assert after["key"].shape[2] == after["value"].shape[2] == size
        found, _ = attention.call_with_cache(INPUTS[:, 3:4], attention.resize_cache(after, 5), 3)
        assert_close(found, attention.call_with_cache(INPUTS[:, 3:4], cache, 3)[0])


@pytest.mark.parametrize(
    ("rows", "length", "index", "message"),
    [
        (
            3,
            1,
            0,
            r"same batch size. Received: a cache of 2 sequences with inputs.shape=\(3, 1, 5\)",
        ),
        (2, 1, 4, "it has 4 places. Received: index=4 with 1 tokens"),
        (2, 3, np.int64(2), "it has 4 places. Received: index=2 with 3 tokens"),
        (2, 5, "a tensor", "it has 4 places. Received: index=a tensor with 5 tokens"),
        (2, 1, -1, "`index` must be at least 0. Received: index=-1"),
    ],
)
def test_a_cache_that_does_not_fit_is_refused(rows, length, index, message):
    attention = built()
    index = ops.convert_to_tensor(0) if index == "a tensor" else index
    inputs = ops.convert_to_tensor(normal(rows, length, 5))
    with pytest.raises(ValueError, match=message):
        attention.call_with_cache(inputs, attention.initial_cache(2, 4), index)


def test_a_padding_mask_that_does_not_fit_is_refused():
    message = r"`padding_mask` must have shape \[B, T\] with B=2, T=7. .*shape=\(2, 4\)"
    with pytest.raises(ValueError, match=message):
        built()(INPUTS, padding_mask=MASK[:, :4])
    cache = built().initial_cache(2, 9)
    with pytest.raises(ValueError, match=r"T=9. Received: padding_mask.shape=\(2, 7\)"):
        built().call_with_cache(INPUTS[:, :1], cache, 0, padding_mask=MASK)
